// Three sizes of every JPEG of a folder with sharp, as its documentation does it for several outputs:
// one sharp(file) a picture, one clone() a size.
//
//   node sharp_peer.mjs SHARP_DIR SOURCE OUT FORMAT QUALITY EFFORT THREADS IN_FLIGHT WIDTH...
//
// SHARP_DIR holds node_modules (NODE_PATH is looked at too). THREADS is sharp.concurrency(), 0 leaves its default.
import { createRequire } from 'node:module';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

const [dir, source, out, format, quality, effort, threads, inFlight, ...widths] = process.argv.slice(2);
const sharp = createRequire(path.join(path.resolve(dir), 'peer.js'))('sharp');
if (source === undefined) {
  console.log(`sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`);
  process.exit(0);
}
if (Number(threads) > 0) sharp.concurrency(Number(threads));
const options = { quality: Number(quality) };
if (format === 'webp' || format === 'avif') options.effort = Number(effort);
const extension = format === 'jpeg' ? 'jpg' : format;
const names = (await readdir(source)).filter((name) => name.endsWith('.jpg')).sort();

async function one(name) {
  const picture = sharp(path.join(source, name)).rotate();
  await Promise.all(
    widths.map((width) =>
      picture
        .clone()
        .resize({ width: Number(width), withoutEnlargement: true })
        .toFormat(format, options)
        .toFile(path.join(out, `${path.parse(name).name}-w${width}.${extension}`)),
    ),
  );
}

let next = 0;
await Promise.all(
  Array.from({ length: Number(inFlight) }, async () => {
    while (next < names.length) await one(names[next++]);
  }),
);
