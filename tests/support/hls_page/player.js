// What the browser test drives: each function returns what it saw, or rejects with what went wrong.
"use strict";

const film = document.getElementById("film");
const canvas = document.getElementById("thumbnail");
const trouble = [];
let hls = null;
let cues = [];
let ranges = {};

function event(target, name) {
  return new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
}

function hlsEvent(name, fits = () => true) {
  return new Promise((resolve) => {
    const listen = (_, data) => {
      if (fits(data)) {
        hls.off(name, listen);
        resolve(data);
      }
    };
    hls.on(name, listen);
  });
}

// Waits until something is true, looking again whenever the film tells anything.
async function until(holds) {
  const names = ["timeupdate", "resize", "seeked", "playing", "progress", "loadeddata", "ended"];
  while (!holds()) await Promise.race(names.map((name) => event(film, name)));
}

// Opens a presentation at its largest rendition; tells what hls.js found in it, and when the buffers begin and end.
async function open(url, level = 0) {
  if (hls) hls.destroy();
  hls = new Hls({ startLevel: level, autoStartLoad: false, capLevelToPlayerSize: false, maxBufferLength: 60 });
  hls.on(Hls.Events.ERROR, (_, data) => {
    // A seek has hls.js break off what it is loading; on a slow machine it still is.
    if (data.details !== Hls.ErrorDetails.INTERNAL_ABORTED) trouble.push(`${data.type} ${data.details} ${data.error || ""}`);
  });
  hls.on(Hls.Events.BUFFER_APPENDED, (_, data) => (ranges = data.timeRanges));
  const found = hlsEvent(Hls.Events.MANIFEST_PARSED);
  const shown = event(film, "loadeddata");
  hls.loadSource(url);
  hls.attachMedia(film);
  await found;
  const best = hls.levels.reduce((most, each, index) => (each.height > hls.levels[most].height ? index : most), 0);
  hls.loadLevel = level === "best" ? best : level;
  hls.startLoad(0);
  await shown;
  return {
    duration: film.duration,
    size: [film.videoWidth, film.videoHeight],
    levels: hls.levels.map((each) => [each.width, each.height, each.codecSet, each.bitrate, each.frameRate]),
    sounds: hls.audioTracks.map((each) => [each.name, each.lang]),
    texts: hls.subtitleTracks.map((each) => [each.name, each.lang]),
  };
}

// Begin and end of what is buffered of sound and picture, once all of it is.
async function buffered() {
  await until(() => film.buffered.length && film.buffered.end(film.buffered.length - 1) > film.duration - 0.1);
  const seen = {};
  for (const [kind, range] of Object.entries(ranges)) seen[kind] = [range.length, range.start(0), range.end(range.length - 1)];
  return seen;
}

async function playToTheEnd(rate) {
  const ended = event(film, "ended");
  film.playbackRate = rate;
  await film.play();
  await ended;
  const quality = film.getVideoPlaybackQuality();
  return { time: film.currentTime, frames: quality.totalVideoFrames, corrupted: quality.corruptedVideoFrames, trouble };
}

async function play(seconds) {
  await film.play();
  const goal = film.currentTime + seconds;
  await until(() => film.currentTime >= goal);
  return film.currentTime;
}

// Switches to the rendition of this height while the film plays; tells the sizes seen, until it is shown.
async function switchTo(height) {
  const seen = [film.videoHeight];
  hls.nextLevel = hls.levels.findIndex((each) => each.height === height);
  await until(() => {
    if (seen[seen.length - 1] !== film.videoHeight) seen.push(film.videoHeight);
    return film.videoHeight === height;
  });
  return seen;
}

async function switchSound(index) {
  const switched = hlsEvent(Hls.Events.AUDIO_TRACK_SWITCHED, (data) => data.id === index);
  const loaded = hlsEvent(Hls.Events.FRAG_BUFFERED, (data) => data.frag.type === "audio");
  hls.audioTrack = index;
  await Promise.all([switched, loaded]);
  return [hls.audioTrack, hls.audioTracks[hls.audioTrack].lang];
}

async function seek(seconds) {
  film.pause();
  const arrived = event(film, "seeked");
  const drawn = new Promise((resolve) => film.requestVideoFrameCallback(resolve));
  film.currentTime = seconds;
  await Promise.all([arrived, drawn]);
  return film.currentTime;
}

async function showTexts() {
  hls.subtitleDisplay = true;
  hls.subtitleTrack = 0;
  await hlsEvent(Hls.Events.SUBTITLE_FRAG_PROCESSED);
  return [...film.textTracks].flatMap((track) => [...(track.cues || [])].map((cue) => [cue.startTime, cue.endTime, cue.text]));
}

// What is shown of the texts at the current time.
function said() {
  const shown = [...film.textTracks].filter((track) => track.mode === "showing");
  const text = shown.flatMap((track) => [...(track.activeCues || [])].map((cue) => cue.text)).join(" / ");
  document.getElementById("said").textContent = text;
  return text;
}

async function storyboard(url) {
  const text = await (await fetch(url)).text();
  const seconds = (clock) => clock.split(":").reduce((sum, part) => sum * 60 + parseFloat(part), 0);
  cues = [...text.matchAll(/([\d:.]+) --> ([\d:.]+)[^\n]*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g)].map((found) => ({
    start: seconds(found[1]),
    end: seconds(found[2]),
    url: new URL(found[3], new URL(url, location)).href,
    box: found.slice(4).map(Number),
  }));
  return cues.map((cue) => [cue.start, cue.end, ...cue.box]);
}

// Draws the storyboard's picture for a time; tells its mean colour.
async function thumbnail(seconds) {
  const cue = cues.find((each) => each.start <= seconds && seconds < each.end);
  const sheet = new Image();
  sheet.src = cue.url;
  await sheet.decode();
  const [x, y, width, height] = cue.box;
  if (x + width > sheet.naturalWidth || y + height > sheet.naturalHeight) throw new Error("outside the sheet");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").drawImage(sheet, x, y, width, height, 0, 0, width, height);
  return mean(canvas);
}

// Mean colour of the frame that is shown.
function colour() {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [160, 90];
  copy.getContext("2d").drawImage(film, 0, 0, 160, 90);
  return mean(copy);
}

function mean(from) {
  const { data } = from.getContext("2d").getImageData(0, 0, from.width, from.height);
  const sums = [0, 0, 0];
  for (let at = 0; at < data.length; at += 4) for (let part = 0; part < 3; part++) sums[part] += data[at + part];
  return sums.map((sum) => (sum * 4) / data.length);
}
