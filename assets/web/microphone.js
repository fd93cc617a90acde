// The microphone as it is: no lossy coder, and none of the browser's own processing.

import { resampled } from "./resampling.js";
import { RATE } from "./sound.js";

const CONSTRAINTS = { autoGainControl: false, echoCancellation: false, noiseSuppression: false, channelCount: 1 };

export class Microphone {
  static async open() {
    const microphone = new Microphone();
    microphone.stream = await navigator.mediaDevices.getUserMedia({ audio: CONSTRAINTS });
    microphone.context = new AudioContext();
    microphone.blocks = [];
    await microphone.context.audioWorklet.addModule("collector.js");
    const collector = new AudioWorkletNode(microphone.context, "lect-collector", { numberOfOutputs: 0 });
    collector.port.onmessage = ({ data }) => microphone.blocks.push(data);
    microphone.context.createMediaStreamSource(microphone.stream).connect(collector);
    return microphone;
  }

  get seconds() {
    return this.blocks.reduce((sum, block) => sum + block.length, 0) / this.context.sampleRate;
  }

  // Ends it: (samples,) at 16 kHz.
  async close() {
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
    const samples = new Float32Array(this.blocks.reduce((sum, block) => sum + block.length, 0));
    let at = 0;
    for (const block of this.blocks) {
      samples.set(block, at);
      at += block.length;
    }
    return resampled(samples, this.context.sampleRate, RATE);
  }
}
