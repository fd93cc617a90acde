// Sound to another rate by a windowed sinc: what a browser offers for it is linear interpolation, which aliases.

const CROSSINGS = 32; // of the sinc on each side
const PASSED = 0.94; // of the lower rate's half
const SHARPNESS = 9; // of Kaiser's window: what is folded back lies 90 dB below

export function resampled(samples, rate, wanted) {
  if (rate === wanted) return samples;
  const common = divisor(rate, wanted), phases = wanted / common, step = rate / common;
  const cutoff = PASSED * Math.min(1, wanted / rate), reach = Math.ceil(CROSSINGS / cutoff);
  const filters = Array.from({ length: phases }, (_, phase) => filter(phase / phases, cutoff, reach));
  const found = new Float32Array(Math.ceil((samples.length * wanted) / rate));
  for (let index = 0; index < found.length; index++) {
    const at = index * step, taps = filters[at % phases], first = Math.floor(at / phases) - reach + 1;
    let sum = 0;
    for (let tap = Math.max(0, -first); tap < taps.length && first + tap < samples.length; tap++) {
      sum += taps[tap] * samples[first + tap];
    }
    found[index] = sum;
  }
  return found;
}

// Taps from `reach - 1` samples before to `reach` behind a place that lies `fraction` of a sample behind one.
function filter(fraction, cutoff, reach) {
  const taps = Float64Array.from({ length: 2 * reach }, (_, index) => {
    const distance = index - reach + 1 - fraction, angle = Math.PI * cutoff * distance, edge = distance / reach;
    const window = Math.abs(edge) < 1 ? bessel(SHARPNESS * Math.sqrt(1 - edge * edge)) / bessel(SHARPNESS) : 0;
    return cutoff * (angle ? Math.sin(angle) / angle : 1) * window;
  });
  const sum = taps.reduce((a, b) => a + b);
  return taps.map((tap) => tap / sum);
}

// The modified Bessel function of order 0.
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

function divisor(a, b) {
  return b ? divisor(b, a % b) : a;
}
