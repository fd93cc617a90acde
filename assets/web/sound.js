// Recordings to (samples,) at 16 kHz, mono: WAV as it is, and whatever else the browser can decode.

import { resampled } from "./resampling.js";
import { readWav } from "./wav.js";

export const RATE = 16000;

// A file's sound. All of it lies in memory: an hour takes 230 MB a channel.
export async function fromFile(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const wav = readWav(bytes);
  if (wav) return resampled(wav.samples, wav.rate, RATE);
  try {
    const context = new OfflineAudioContext(1, 1, RATE); // decoding resamples to the context's rate
    return mono(await context.decodeAudioData(bytes.buffer));
  } catch {
    throw new Error("The browser cannot read this file as sound: save it as WAV, FLAC, Ogg, MP3 or M4A.");
  }
}

function mono(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length);
}
