// <lect-recorder target="ID" onward="ID">: records the microphone as it is, and hands a WAV file to the file input in
// #ID; onward: to which one when the recording ends by going on. With it, the take is played where it waits.
// Sound never passes a lossy coder, and the browser's own processing is off. Words come from window.lectWords.

const CONSTRAINTS = { autoGainControl: false, echoCancellation: false, noiseSuppression: false, channelCount: 1 };
const MAX_SECONDS = 60;
const ROOM_SECONDS = 3;
const LOUD_ROOM_DBFS = -50; // a quiet room with an ordinary microphone lies 10 dB below
const FRAME_S = 0.02;
const METER_FLOOR_DBFS = -60;
const CHOSEN = "lect-microphone"; // the device that was chosen, in this browser's own store

const COLLECTOR = `registerProcessor("lect-collector", class extends AudioWorkletProcessor {
  process(inputs) { if (inputs[0].length) this.port.postMessage(inputs[0][0].slice()); return true; }
});`;

const say = (key, values = {}) =>
  Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), (window.lectWords || {})[key] || key);

const dbfs = (power) => 10 * Math.log10(Math.max(power, 1e-10));

class Microphone {
  static async open(onBlock) {
    if (!navigator.mediaDevices) throw new Error(say("mic_insecure"));
    const stream = await Microphone.stream(localStorage.getItem(CHOSEN));
    const context = new AudioContext();
    const address = URL.createObjectURL(new Blob([COLLECTOR], { type: "text/javascript" }));
    await context.audioWorklet.addModule(address);
    URL.revokeObjectURL(address);
    const collector = new AudioWorkletNode(context, "lect-collector", { numberOfOutputs: 0 });
    collector.port.onmessage = (event) => onBlock(event.data);
    context.createMediaStreamSource(stream).connect(collector);
    return new Microphone(stream, context);
  }
  static async stream(chosen) {
    const asked = (device) => navigator.mediaDevices.getUserMedia({ audio: { ...CONSTRAINTS, ...device } });
    if (!chosen) return asked({});
    return asked({ deviceId: { exact: chosen } }).catch((error) => {
      if (error.name !== "OverconstrainedError" && error.name !== "NotFoundError") throw error;
      return asked({}); // the one that was chosen is no longer plugged in
    });
  }
  constructor(stream, context) {
    Object.assign(this, { stream, context, rate: context.sampleRate });
  }
  async close() {
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
  }
}

function wav(blocks, rate) {
  const samples = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const ascii = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  ascii(0, "RIFF"); view.setUint32(4, 36 + 2 * samples, true); ascii(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  ascii(36, "data"); view.setUint32(40, 2 * samples, true);
  let at = 44;
  for (const block of blocks) for (const value of block) {
    view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(32768 * value))), true);
    at += 2;
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

function refusal(error) {
  if (error.name === "NotAllowedError") return say("mic_denied");
  if (error.name === "NotFoundError") return say("mic_missing");
  if (error.name === "NotReadableError") return say("mic_busy");
  return error.message;
}

class Recorder extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.innerHTML = `
      <div class="recorder">
        <button type="button" class="record"><i></i><span></span></button>
        <button type="button" class="replay" disabled></button>
        <button type="button" class="room"></button>
        <output class="time" dir="ltr">0.0 s</output>
        <div class="level" role="meter" aria-valuemin="-60" aria-valuemax="0" aria-valuenow="-60"><i></i><b></b></div>
        <label class="device"><span></span> <select></select></label>
        <p class="message" role="status"></p>
        <audio></audio>
      </div>`;
    this.ui = Object.fromEntries(["record", "replay", "room", "time", "level", "device", "message"].map((name) => [name, this.querySelector("." + name)]));
    this.audio = this.querySelector("audio");
    this.ui.replay.textContent = say("record_replay");
    this.ui.room.textContent = say("record_room");
    this.ui.level.setAttribute("aria-label", say("record_level"));
    this.ui.record.addEventListener("click", () => this.toggle());
    this.ui.replay.addEventListener("click", () => this.audio.play());
    this.ui.room.addEventListener("click", () => this.listenToRoom());
    this.ui.replay.hidden = this.hasAttribute("onward");
    this.ui.device.firstElementChild.textContent = say("source");
    this.ui.device.lastElementChild.addEventListener("change", (event) => localStorage.setItem(CHOSEN, event.target.value));
    // Nothing is recorded unseen: when another step is opened, the take ends and waits.
    new ResizeObserver(() => { if (!this.offsetParent && this.dataset.state === "recording") this.stop(); }).observe(this.firstElementChild);
    this.show("idle");
    this.listDevices();
  }

  // Ends a recording and goes on to the next sentence, where the take is good.
  onward() { this.stop(this.getAttribute("onward")); }

  disconnectedCallback() { if (this.microphone) this.microphone.close(); }

  // Which microphone records, and which there are: browsers tell names only once one may be used.
  async listDevices() {
    const all = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
    const named = all.filter(({ kind, label }) => kind === "audioinput" && label);
    const used = this.microphone?.stream.getAudioTracks()[0].getSettings().deviceId || localStorage.getItem(CHOSEN);
    this.ui.device.hidden = !named.length;
    const options = named.map(({ deviceId, label }) => new Option(label, deviceId, false, deviceId === used));
    this.ui.device.lastElementChild.replaceChildren(...options);
  }

  show(state) {
    this.dataset.state = state;
    const going = state === "recording";
    this.ui.record.classList.toggle("going", going);
    this.ui.record.lastElementChild.textContent = say(going ? "record_stop" : "record_start");
    this.ui.record.disabled = state === "opening" || state === "room";
    this.ui.room.disabled = state !== "idle";
    this.ui.replay.disabled = state !== "idle" || !this.audio.src;
  }

  async toggle() { return this.dataset.state === "recording" ? this.stop() : this.start(); }

  async open() {
    this.blocks = [];
    this.samples = 0;
    this.peak = METER_FLOOR_DBFS;
    this.ui.message.textContent = "";
    this.audio.pause();
    document.dispatchEvent(new Event("lect-quiet"));
    this.show("opening");
    this.closing = false;
    this.microphone = await Microphone.open((block) => this.take(block));
    this.listDevices();
  }

  async start() {
    try {
      await this.open();
      this.show("recording");
    } catch (error) {
      this.ui.message.textContent = refusal(error);
      this.show("idle");
    }
  }

  take(block) {
    if (this.closing) return; // what still comes while the microphone closes would set the meter again
    this.blocks.push(block);
    this.samples += block.length;
    const seconds = this.samples / (this.microphone ? this.microphone.rate : 48000);
    const now = performance.now();
    this.sum = (this.sum || 0) + block.reduce((sum, value) => sum + value * value, 0);
    this.count = (this.count || 0) + block.length;
    if (now - (this.drawn || 0) > 60) {
      this.draw(dbfs(this.sum / this.count), seconds);
      this.sum = this.count = 0;
      this.drawn = now;
    }
    if (seconds > MAX_SECONDS && this.dataset.state === "recording") this.stop();
  }

  draw(level, seconds) {
    const share = (value) => `${Math.max(0, Math.min(100, 100 * (1 - value / METER_FLOOR_DBFS)))}%`;
    this.peak = Math.max(level, this.peak - 0.7);
    this.ui.level.firstElementChild.style.width = share(level);
    this.ui.level.lastElementChild.style.insetInlineStart = share(this.peak);
    this.ui.level.setAttribute("aria-valuenow", level.toFixed(0));
    this.ui.time.textContent = `${seconds.toFixed(1)} s`;
  }

  async close() {
    const { rate } = this.microphone;
    this.closing = true;
    await this.microphone.close();
    this.microphone = null;
    this.draw(METER_FLOOR_DBFS, this.samples / rate);
    return rate;
  }

  // target: the file input that takes it, another than usual.
  async stop(target = this.getAttribute("target")) {
    this.show("opening");
    const file = wav(this.blocks, await this.close());
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
    this.audio.src = URL.createObjectURL(file);
    this.show("idle");
    this.handOver(new File([file], "take.wav", { type: "audio/wav" }), target);
  }

  handOver(file, target) {
    // Gradio puts an upload button's input before it, and those of other buttons may stand beside.
    const input = document.getElementById(target).previousElementSibling;
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async listenToRoom() {
    try {
      await this.open();
    } catch (error) {
      this.ui.message.textContent = refusal(error);
      return this.show("idle");
    }
    this.show("room");
    this.ui.message.textContent = say("room_listening");
    await new Promise((done) => setTimeout(done, 1000 * ROOM_SECONDS));
    const noise = middle(this.blocks, await this.close());
    this.ui.message.textContent = say(noise > LOUD_ROOM_DBFS ? "room_loud" : "room_quiet", { level: noise.toFixed(0) });
    this.show("idle");
  }
}

// The median level of 20 ms frames; the first half second, while the microphone settles, does not count.
function middle(blocks, rate) {
  const all = blocks.flatMap((block) => [...block]).slice(rate / 2);
  const size = Math.round(FRAME_S * rate);
  const levels = [];
  for (let at = 0; at + size <= all.length; at += size) {
    levels.push(dbfs(all.slice(at, at + size).reduce((sum, value) => sum + value * value, 0) / size));
  }
  levels.sort((a, b) => a - b);
  return levels.length ? levels[levels.length >> 1] : -100;
}

customElements.define("lect-recorder", Recorder);
