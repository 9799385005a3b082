// Pictures of several qualities with sharp, for benchmarks/quality.py --against-sharp.
//
//   node sharp_quality_peer.mjs SHARP_DIR < JOBS
//
// JOBS is a JSON list of {file, width, format, effort (null: sharp's own), qualities, out}; each makes OUT-QUALITY.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const sharp = createRequire(path.join(path.resolve(process.argv[2]), 'peer.js'))('sharp');
console.log(`sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`);
for (const job of JSON.parse(readFileSync(0, 'utf8'))) {
  const picture = sharp(job.file).rotate().resize({ width: job.width, withoutEnlargement: true });
  for (const quality of job.qualities) {
    const options = job.effort === null ? { quality } : { quality, effort: job.effort };
    await picture.clone().toFormat(job.format, options).toFile(`${job.out}-${quality}`);
  }
}
