// Compares the page with a reader's own copy of its data, and evaluates on it what is trained here. Nothing is uploaded.
import { PIXELS, evaluate, sha256 } from "./network.js";
import { unpacked } from "./draw.js";

const NAMES = {
  x_train: "training images",
  y_train: "training labels",
  x_test: "test images",
  y_test: "test labels",
};
const MAGIC = { 2051: "x", 2049: "y" }; // of the official files: images, labels

async function inflate(bytes, format) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The arrays of an .npz file by name: a zip archive (PKWARE's APPNOTE) of .npy files (NumPy's format, version 1).
async function readNpz(bytes) {
  const [view, arrays] = [new DataView(bytes.buffer, bytes.byteOffset, bytes.length), {}];
  let end = bytes.length - 22; // of the list of files, which ends the archive unless it has a comment
  while (view.getUint32(end, true) !== 0x06054b50) end--;
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    const [method, size, length] = [
      view.getUint16(at + 10, true),
      view.getUint32(at + 20, true),
      view.getUint16(at + 28, true),
    ];
    const name = new TextDecoder()
      .decode(bytes.subarray(at + 46, at + 46 + length))
      .replace(/\.npy$/, "");
    const start = view.getUint32(at + 42, true);
    at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (!(name in NAMES)) continue;
    const from = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
    const packed = bytes.subarray(from, from + size);
    const file = method === 0 ? packed : await inflate(packed, "deflate-raw");
    const header = new TextDecoder().decode(file.subarray(10, 10 + file[8] + 256 * file[9]));
    const shape = header
      .match(/'shape': \(([^)]*)\)/)[1]
      .split(",")
      .map(Number)
      .filter(Boolean);
    if (!/'descr': '\|u1', 'fortran_order': False/.test(header))
      throw new Error(`${name} is not of whole bytes`);
    arrays[name] = { shape, bytes: file.subarray(10 + header.length) };
  }
  return arrays;
}

// The arrays of one file by name: an .npz file in Keras's layout, or one of the four official files, gzipped or not.
async function readFile(file) {
  const given = new Uint8Array(await file.arrayBuffer());
  const bytes = given[0] === 0x1f && given[1] === 0x8b ? await inflate(given, "gzip") : given;
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return readNpz(bytes);
  const view = new DataView(bytes.buffer);
  const kind = bytes.length > 8 && MAGIC[view.getUint32(0)];
  if (!kind) throw new Error("it is neither an .npz file nor one of the four official files");
  const shape = Array.from({ length: kind === "x" ? 3 : 1 }, (_, i) => view.getUint32(4 + 4 * i));
  return {
    [`${kind}_${shape[0] === 10000 ? "test" : "train"}`]: {
      shape,
      bytes: bytes.subarray(4 + 4 * shape.length),
      given,
    },
  };
}

// The SHA-256 of the official file that holds an array, unpacked, or as it was given.
function digestOfFile({ shape, bytes, given }, unpack) {
  if (!unpack) return given ? sha256(given) : "not an official file";
  const whole = new Uint8Array(4 + 4 * shape.length + bytes.length);
  const view = new DataView(whole.buffer);
  [shape.length === 3 ? 2051 : 2049, ...shape].forEach((number, i) =>
    view.setUint32(4 * i, number),
  );
  whole.set(bytes, 4 + 4 * shape.length);
  return sha256(whole);
}

// Sets up the section in `root`, which has check.html.j2. Returns a function that evaluates a network on the copy.
export function setUpCheck(root, run) {
  const part = (name) => root.querySelector(`.${name}`);
  const copy = {};

  async function take(files) {
    part("state").textContent = "Reading.";
    const problems = [];
    for (const file of files) {
      try {
        const arrays = await readFile(file);
        for (const [name, { shape, bytes }] of Object.entries(arrays)) {
          const size = shape.reduce((product, length) => product * length, 1);
          const is =
            name[0] === "x"
              ? shape.length === 3 && shape[1] * shape[2] === PIXELS
              : shape.length === 1;
          if (!is || bytes.length !== size)
            throw new Error(`its ${NAMES[name]} are cut short, or of another shape`);
        }
        if (Object.keys(arrays).length === 0)
          throw new Error("it holds none of x_train, y_train, x_test and y_test");
        Object.assign(copy, arrays);
      } catch (error) {
        problems.push(
          `${file.name} cannot be used: ${error instanceof Error && error.name === "Error" ? error.message : "it is damaged"}.`,
        );
      }
    }
    part("digests").hidden = Object.keys(copy).length === 0;
    part("digests")
      .querySelector("tbody")
      .replaceChildren(
        ...Object.entries(NAMES)
          .filter(([name]) => name in copy)
          .map(([name, words]) => {
            const [row, digest] = [
              document.createElement("tr"),
              digestOfFile(copy[name], run.known.unpacked),
            ];
            const verdict = digest === run.known[name] ? "equal" : `NOT equal: ${run.known[name]}`;
            for (const text of [words, digest, verdict]) row.insertCell().textContent = text;
            return row;
          }),
      );
    part("state").textContent = [...problems, await compare()].join(" ");
  }

  // Whether the page's images and labels are the first ones of the copy.
  async function compare() {
    if (!copy.x_train || !copy.y_train)
      return Object.keys(copy).length ? "The training images or labels are not there yet." : "";
    const packed = [run.images, run.validation_images, run.labels, run.validation_labels];
    const own = (await Promise.all(packed.map(unpacked))).map((buffer) => new Uint8Array(buffer));
    const starts = [0, own[0].length, 0, own[2].length];
    const equal = own.every((bytes, i) => {
      const theirs = (i < 2 ? copy.x_train : copy.y_train).bytes.subarray(
        starts[i],
        starts[i] + bytes.length,
      );
      return bytes.length === theirs.length && bytes.every((value, k) => value === theirs[k]);
    });
    const verdict = equal ? "are, byte for byte, those of your copy" : "are NOT those of your copy";
    return `The page's training and validation images ${verdict}. Train again above, and the network is evaluated on your test images.`;
  }

  part("files").addEventListener("change", ({ target }) => take(target.files));
  for (const event of ["dragover", "drop"])
    root.addEventListener(event, (dropped) => dropped.preventDefault());
  root.addEventListener("drop", ({ dataTransfer }) => take(dataTransfer.files));
  return ({ weights, ...parameters }) => {
    if (!copy.x_test || !copy.y_test) return;
    const [error, accuracy] = evaluate(
      copy.x_test.bytes,
      copy.y_test.bytes,
      weights,
      parameters.normalisation,
    );
    const changed = Object.keys(run.parameters).some(
      (name) => name !== "classes" && parameters[name] !== run.parameters[name],
    );
    const [mine, theirs] = run.published
      ? [[`${error}`.slice(0, 5), `${accuracy}`], run.published]
      : [[`${error}`, `${accuracy}`], run.test.map(String)];
    const verdict = mine.every((text, i) => text === theirs[i])
      ? "equal"
      : `NOT equal${changed ? ", since a parameter was changed" : ""}`;
    part("result").textContent =
      `Your copy: error ${mine[0]}, accuracy ${mine[1]} on its ${copy.y_test.bytes.length.toLocaleString("en")} test images. ${run.published ? "Published" : "The run's"}: ${theirs.join(", ")}: ${verdict}.`;
  };
}
