"""How a backbone is made from speech of many languages. Nothing else needs it."""
