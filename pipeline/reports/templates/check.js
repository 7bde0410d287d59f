// Compares the page with a reader's own copy of its data, and evaluates on it what is trained here.
// Nothing is uploaded.
import { inflate, Section, unpackBytes } from "./draw.js";
import { evaluate, PIXELS, sha256 } from "./network.js";

const NAMES = {
  x_train: "training images",
  y_train: "training labels",
  x_test: "test images",
  y_test: "test labels",
};
const IMAGES = 2051; // the first number of an official file
const LABELS = 2049;
const TEST_IMAGES = 10000;
const END_OF_ZIP = 0x06054b50;
const NOT_NAMED = "it holds none of x_train, y_train, x_test and y_test";
const NOT_KNOWN = "it is neither an .npz file nor one of the four official files";

// The entries of a zip archive's list of files (PKWARE's APPNOTE).
function* listEntries(bytes, view) {
  let end = bytes.length - 22; // of the list, which ends the archive unless it has a comment
  while (view.getUint32(end, true) !== END_OF_ZIP) end--;
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    const nameLength = view.getUint16(at + 28, true);
    yield {
      name: new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength)),
      method: view.getUint16(at + 10, true),
      size: view.getUint32(at + 20, true),
      start: view.getUint32(at + 42, true),
    };
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
}

async function readEntry(bytes, view, { method, size, start }) {
  const lengths = view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
  const from = start + 30 + lengths;
  const packed = bytes.subarray(from, from + size);
  return method === 0 ? packed : await inflate(packed, "deflate-raw");
}

// An array of a .npy file (NumPy's format, version 1).
function readNpy(file, name) {
  const header = new TextDecoder().decode(file.subarray(10, 10 + file[8] + 256 * file[9]));
  const [, numbers] = header.match(/'shape': \(([^)]*)\)/);
  const shape = numbers.split(",").map(Number).filter(Boolean);
  if (!/'descr': '\|u1', 'fortran_order': False/.test(header)) {
    throw new Error(`${name} is not of whole bytes`);
  }
  return { shape, bytes: file.subarray(10 + header.length) };
}

// The arrays of an .npz file by name: a zip archive of .npy files.
async function readNpz(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const arrays = {};
  for (const entry of listEntries(bytes, view)) {
    const name = entry.name.replace(/\.npy$/, "");
    if (name in NAMES) arrays[name] = readNpy(await readEntry(bytes, view, entry), name);
  }
  return arrays;
}

// The array of an official file by its name; file: as it is, gzipped or not.
function readOfficial(bytes, file) {
  const view = new DataView(bytes.buffer);
  const magic = bytes.length > 8 ? view.getUint32(0) : 0;
  if (magic !== IMAGES && magic !== LABELS) throw new Error(NOT_KNOWN);
  const dimensions = magic === IMAGES ? 3 : 1;
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const letter = magic === IMAGES ? "x" : "y";
  const name = `${letter}_${shape[0] === TEST_IMAGES ? "test" : "train"}`;
  return { [name]: { shape, bytes: bytes.subarray(4 + 4 * shape.length), file } };
}

// The arrays of one file by name: an .npz file in Keras's layout, or one of the four official
// files, gzipped or not.
async function readFile(upload) {
  const file = new Uint8Array(await upload.arrayBuffer());
  const isGzip = file[0] === 0x1f && file[1] === 0x8b;
  const bytes = isGzip ? await inflate(file, "gzip") : file;
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  return isZip ? readNpz(bytes) : readOfficial(bytes, file);
}

// Throws an error if the array has not the shape that its name promises.
function checkArray(name, { shape, bytes }) {
  const size = shape.reduce((product, length) => product * length, 1);
  const isShaped = name.startsWith("x")
    ? shape.length === 3 && shape[1] * shape[2] === PIXELS
    : shape.length === 1;
  if (!isShaped || bytes.length !== size) {
    throw new Error(`its ${NAMES[name]} are cut short, or of another shape`);
  }
}

// The SHA-256 of the official file that holds an array, unpacked, or as it is.
function digestOfFile({ shape, bytes, file }, isUnpacked) {
  if (!isUnpacked) return file ? sha256(file) : "not an official file";
  const whole = new Uint8Array(4 + 4 * shape.length + bytes.length);
  const view = new DataView(whole.buffer);
  const magic = shape.length === 3 ? IMAGES : LABELS;
  [magic, ...shape].forEach((number, i) => {
    view.setUint32(4 * i, number);
  });
  whole.set(bytes, 4 + 4 * shape.length);
  return sha256(whole);
}

const areEqual = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

// A reader's copy of the data, in the section in `root`.
class Copy extends Section {
  constructor(root, run) {
    super(root);
    this.run = run;
    this.arrays = {}; // by name, as they are taken
  }

  get isEmpty() {
    return Object.keys(this.arrays).length === 0;
  }

  async take(files) {
    this.write("state", "Reading.");
    const problems = [];
    for (const file of files) {
      try {
        await this.takeFile(file);
      } catch (error) {
        const isOwn = error instanceof Error && error.name === "Error";
        const reason = isOwn ? error.message : "it is damaged";
        problems.push(`${file.name} cannot be used: ${reason}.`);
      }
    }
    this.showDigests();
    this.write("state", [...problems, await this.compare()].join(" "));
  }

  async takeFile(file) {
    const arrays = await readFile(file);
    for (const [name, array] of Object.entries(arrays)) checkArray(name, array);
    if (Object.keys(arrays).length === 0) throw new Error(NOT_NAMED);
    Object.assign(this.arrays, arrays);
  }

  showDigests() {
    const { known } = this.run;
    const table = this.part("digests");
    const names = Object.keys(NAMES).filter((name) => name in this.arrays);
    const rows = names.map((name) => {
      const row = document.createElement("tr");
      const digest = digestOfFile(this.arrays[name], known.unpacked);
      const verdict = digest === known[name] ? "equal" : `NOT equal: ${known[name]}`;
      for (const text of [NAMES[name], digest, verdict]) row.insertCell().textContent = text;
      return row;
    });
    table.hidden = this.isEmpty;
    table.querySelector("tbody").replaceChildren(...rows);
  }

  // Says whether the page's images and labels are the first ones of the copy.
  async compare() {
    const { x_train: images, y_train: labels } = this.arrays;
    if (!images || !labels) {
      return this.isEmpty ? "" : "The training images or labels are not there yet.";
    }
    const { run } = this;
    const packedImages = [run.images, run.validation_images];
    const packedLabels = [run.labels, run.validation_labels];
    const isCopy =
      (await this.begins(images.bytes, packedImages)) &&
      (await this.begins(labels.bytes, packedLabels));
    const verdict = isCopy
      ? "are, byte for byte, those of your copy"
      : "are NOT those of your copy";
    return (
      `The page's training and validation images ${verdict}. ` +
      "Train again above, and the network is evaluated on your test images."
    );
  }

  // Returns whether bytes begin with these pieces, one after the other.
  async begins(bytes, packed) {
    let start = 0;
    for (const piece of await Promise.all(packed.map(unpackBytes))) {
      if (!areEqual(piece, bytes.subarray(start, start + piece.length))) return false;
      start += piece.length;
    }
    return true;
  }

  // Evaluates a network on the copy's test images, and compares it with what is published.
  evaluate({ weights, ...parameters }) {
    const { x_test: images, y_test: labels } = this.arrays;
    if (!images || !labels) return;
    const { run } = this;
    const metrics = evaluate(images.bytes, labels.bytes, weights, parameters.normalisation);
    const [error, accuracy] = metrics.map(String);
    const mine = [run.published ? error.slice(0, 5) : error, accuracy]; // as the original prints it
    const theirs = run.published ?? run.test.map(String);
    const isChanged = Object.keys(run.parameters).some(
      (name) => name !== "classes" && parameters[name] !== run.parameters[name],
    );
    const reason = isChanged ? ", since a parameter was changed" : "";
    const verdict = areEqual(mine, theirs) ? "equal" : `NOT equal${reason}`;
    const count = labels.bytes.length.toLocaleString("en");
    this.write(
      "result",
      `Your copy: error ${mine[0]}, accuracy ${mine[1]} on its ${count} test images. ` +
        `${run.published ? "Published" : "The run's"}: ${theirs.join(", ")}: ${verdict}.`,
    );
  }

  listen() {
    this.on("files", "change", ({ target }) => this.take(target.files));
    for (const event of ["dragover", "drop"]) {
      this.root.addEventListener(event, (dropped) => dropped.preventDefault());
    }
    this.root.addEventListener("drop", ({ dataTransfer }) => this.take(dataTransfer.files));
  }
}

// Sets up the section in `root`, which has check.html.j2. Returns a function that evaluates a
// network on the copy.
export function setUpCheck(root, run) {
  const copy = new Copy(root, run);
  copy.listen();
  return (network) => copy.evaluate(network);
}
