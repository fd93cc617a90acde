// The waveform with the segments on it: wavesurfer.js, fed with peaks that the server has computed, so that no hour of
// sound is decoded here. Of the segments, only those in view are drawn.

const PEAKS_A_SECOND = 100, MARGIN_S = 20, ZOOM = { min: 10, max: 400, start: 60 };
const COLOURS = { plain: "rgb(13 148 136 / 0.16)", checked: "rgb(22 163 74 / 0.26)", chosen: "rgb(217 119 6 / 0.32)" };

export class Wave {
  constructor(container, { chosen, moved, added, at }) {
    Object.assign(this, { container, tell: { chosen, moved, added, at }, shown: new Map(), parts: [], selected: 0 });
  }

  async open(address, seconds) {
    const [{ default: WaveSurfer }, { default: Regions }, peaks] = await Promise.all([
      import("/page/wavesurfer/wavesurfer.esm.js"),
      import("/page/wavesurfer/regions.esm.js"),
      fetch(`${address}/peaks`).then((answer) => answer.arrayBuffer()),
    ]);
    if (!this.container.isConnected) return;
    const style = getComputedStyle(this.container);
    this.sound = new Audio(`${address}/sound`);
    this.sound.preload = "metadata";
    this.regions = Regions.create();
    this.surfer = WaveSurfer.create({
      container: this.container,
      media: this.sound,
      peaks: [Float32Array.from(new Uint8Array(peaks), (peak) => peak / 255)],
      duration: seconds,
      height: 88,
      minPxPerSec: ZOOM.start,
      waveColor: style.getPropertyValue("--wave").trim(),
      progressColor: style.getPropertyValue("--wave-done").trim(),
      cursorColor: style.getPropertyValue("--wave-cursor").trim(),
      normalize: true,
      autoCenter: false,
      plugins: [this.regions],
    });
    this.surfer.on("scroll", (start, end) => this.draw(start, end));
    this.surfer.on("ready", () => this.draw(0, this.container.clientWidth / ZOOM.start));
    this.surfer.on("timeupdate", (time) => this.tell.at(time));
    this.regions.on("region-clicked", (region, event) => {
      event.stopPropagation();
      this.tell.chosen(Number(region.id));
    });
    this.regions.on("region-updated", (region) => {
      if (this.shown.get(region.id) === region) this.tell.moved(Number(region.id), region.start, region.end);
    });
    this.regions.on("region-created", (region) => {
      if (this.shown.has(region.id) || this.drawing) return;
      region.remove();
      if (region.end > region.start) this.tell.added(region.start, region.end);
    });
    this.regions.enableDragSelection({ color: COLOURS.plain }, 6);
  }

  close() {
    this.surfer?.destroy();
    this.sound?.removeAttribute("src");
    this.sound?.load();
  }

  update(parts, selected) {
    Object.assign(this, { parts, selected });
    if (this.range) this.draw(...this.range);
  }

  draw(start, end) {
    this.range = [start, end];
    const seen = this.parts.filter((part) => part.end > start - MARGIN_S && part.start < end + MARGIN_S);
    const wanted = new Map(seen.map((part) => [String(part.id), part]));
    this.drawing = true;
    for (const [id, region] of this.shown) {
      if (wanted.has(id)) continue;
      this.shown.delete(id);
      region.remove();
    }
    for (const [id, part] of wanted) {
      const color = COLOURS[part.id === this.selected ? "chosen" : part.checked ? "checked" : "plain"];
      const edges = { start: part.start, end: part.end, color };
      const region = this.shown.get(id);
      if (!region) this.shown.set(id, this.regions.addRegion({ id, ...edges, drag: false, minLength: 0.05 }));
      else if (region.start !== part.start || region.end !== part.end || region.color !== color) region.setOptions(edges);
    }
    this.drawing = false;
  }

  zoom(pixels) { this.surfer?.zoom(Math.min(Math.max(pixels, ZOOM.min), ZOOM.max)); }

  show(part) {
    const [start, end] = this.range ?? [0, 0];
    if (part.start < start || part.end > end) this.surfer?.setScrollTime(Math.max(0, part.start - 1));
  }

  play(start, end) { return this.surfer?.play(Math.max(0, start), end); }
  stop() { this.surfer?.pause(); }
  get playing() { return Boolean(this.surfer?.isPlaying()); }
  set rate(times) { if (this.sound) this.sound.playbackRate = times; }
}
