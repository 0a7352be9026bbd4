// yauzl over an archive: node yauzl.mjs FILE EVERY. Prints its members: name, size, and of one in EVERY (of none: 0) the checksum
// of what was read.

import zlib from "node:zlib";
import yauzl from "yauzl";

const [path, every] = process.argv.slice(2);
const members = [];

const zip = await new Promise((done, fail) => {
  // It refuses names that lead elsewhere, and sizes that are not what the directory tells.
  yauzl.open(path, { lazyEntries: true, strictFileNames: true }, (error, zip) => (error ? fail(error) : done(zip)));
});
await new Promise((done, fail) => {
  zip.on("error", fail);
  zip.on("end", done);
  zip.on("entry", (entry) => {
    const next = (crc) => {
      members.push([entry.fileName, entry.uncompressedSize, crc]);
      zip.readEntry();
    };
    if (members.length % every !== 0) return next(null);
    zip.openReadStream(entry, (error, stream) => {
      if (error) return fail(error);
      let crc = 0;
      stream.on("data", (piece) => (crc = zlib.crc32(piece, crc)));
      stream.on("error", fail);
      stream.on("end", () => next(crc));
    });
  });
  zip.readEntry();
});
console.log(JSON.stringify({ members }));
