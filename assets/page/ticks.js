// The boxes beside clips. Gradio changes a list in place, row by row: a box that now stands for another clip is unticked.

const ALL = "all:"; // begins the value of the box that stands for all that is found, on other pages of the list too
const boxes = () => [...document.querySelectorAll("#clips input[type=checkbox]")];
const whole = () => boxes().find((box) => box.value.startsWith(ALL));

// lectTicked(): the numbers of ticked clips, apart by commas, or "all".
window.lectTicked = () => (whole()?.checked ? "all" : boxes().filter((box) => box.checked).map((box) => box.value).join(","));

const keeper = new MutationObserver((changes) => {
  changes.filter(({ type }) => type === "attributes").forEach(({ target }) => { target.checked = false; });
  if (whole()?.checked) boxes().forEach((box) => { box.checked = true; });
});

document.addEventListener("change", ({ target }) => {
  const list = target.closest("#clips");
  if (!list) return;
  keeper.observe(list, { subtree: true, childList: true, attributeFilter: ["value"] });
  if (target === whole()) boxes().forEach((box) => { box.checked = target.checked; });
  else if (!target.checked) whole().checked = false;
});
