// unzipper over an archive: node unzipper.mjs FILE EVERY. Prints its members: name, size, and of one in EVERY (of none: 0) the checksum
// of what was read.

import zlib from "node:zlib";
import unzipper from "unzipper";

const [path, every] = process.argv.slice(2);
const members = [];

const zip = await unzipper.Open.file(path);
for (const file of zip.files) {
  let crc = null;
  if (members.length % every === 0) {
    crc = 0;
    for await (const piece of file.stream()) crc = zlib.crc32(piece, crc);
  }
  members.push([file.path, file.uncompressedSize, crc]);
}
console.log(JSON.stringify({ members }));
