// Runs beside the sound: hands each block of the microphone's first channel to the page.

class Collector extends AudioWorkletProcessor {
  process(inputs) {
    if (inputs[0].length) this.port.postMessage(inputs[0][0].slice());
    return true;
  }
}

registerProcessor("lect-collector", Collector);
