// The worker as promises.

export class Work {
  constructor() {
    this.asked = new Map();
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data: { id, kind, ...values } }) => {
      const { resolve, reject, onMessage } = this.asked.get(id);
      if (kind === "done") resolve(values);
      else if (kind === "failed") reject(new Error(values.sentence));
      else onMessage(values);
    };
    this.worker.onerror = () => {
      for (const { reject } of this.asked.values()) reject(new Error("This browser is too old, or a file of the page is missing."));
    };
  }

  // onMessage(values): what comes before the answer. given: buffers that the worker takes over.
  ask(kind, values, onMessage = () => {}, given = []) {
    const id = this.asked.size;
    return new Promise((resolve, reject) => {
      this.asked.set(id, { resolve, reject, onMessage });
      this.worker.postMessage({ id, kind, ...values }, given);
    });
  }
}
