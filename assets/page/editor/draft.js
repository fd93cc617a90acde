// A draft on the server, as one window sees it. The server's state is the true one: an action is sent, and what comes
// back is what has changed. Actions are sent one after another; what was not sent yet waits until the server is there.

const AGAIN_MS = 2000, TYPING_MS = 400;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export class Draft {
  constructor(address, { changed, replaced, told, saved }) {
    this.address = address;
    this.parts = [];
    this.notify = { changed, replaced, told, saved };
    this.waiting = 0;
    this.last = Promise.resolve();
    this.typed = null; // { part, text, first }: typed and not sent
  }

  async load() {
    const answer = await fetch(this.address);
    const whole = await answer.json();
    if (!answer.ok) throw new Error(whole.error);
    Object.assign(this, whole);
    this.notify.replaced();
  }

  at(id) { return this.parts.findIndex((part) => part.id === id); }
  part(id) { return this.parts[this.at(id)]; }

  // What is typed is sent when the fingers rest, and before anything else.
  type(part, text, first) {
    if (this.typed && this.typed.part !== part) this.flush();
    this.typed = { part, text, first: first || Boolean(this.typed?.first) };
    this.notify.saved(false);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), TYPING_MS);
  }

  flush() {
    clearTimeout(this.timer);
    if (!this.typed) return this.last;
    const { part, text, first } = this.typed;
    this.typed = null;
    return this.queue({ do: "write", part, text, typing: !first });
  }

  act(asked) {
    this.flush();
    return this.queue(asked);
  }

  queue(asked) {
    this.waiting += 1;
    this.notify.saved(false);
    this.last = this.last.then(() => this.send(asked)).finally(() => {
      this.waiting -= 1;
      if (!this.waiting && !this.typed) this.notify.saved(true);
    });
    return this.last;
  }

  async send(asked) {
    const body = JSON.stringify({ ...asked, version: this.version });
    const answer = await post(this.address, body);
    const found = await answer.json();
    if (answer.status === 409) await this.load(); // another window was quicker
    if (!answer.ok) return void this.notify.told(found.error, asked);
    const { at, removed, parts, ...state } = found;
    Object.assign(this, state);
    if (asked.do === "speaker" && !asked.part) this.speaker = asked.speaker;
    const old = this.parts.splice(at, removed, ...parts);
    this.notify.changed(old, parts, asked);
  }
}

// Sends JSON until it is answered: a server that was restarted knows this window again once it has asked for the page.
export async function post(address, body) {
  const options = { method: "POST", body, headers: { "Content-Type": "application/json" }, keepalive: body.length < 60000 };
  for (;;) {
    try {
      const answer = await fetch(address, options);
      if (answer.status !== 403) return answer;
      await fetch("/");
    } catch {
      // No server: it is asked again.
    }
    await wait(AGAIN_MS);
  }
}
