// Keeps what a reader has made, such as dots and predictions. Each of them has a key of its own, so
// that two tabs of a page do not overwrite what the other tab has kept.

const PREFIX = "digits-by-hand: ";

// A storage of the browser. When this tab or another one keeps or forgets something, the storage
// dispatches "change", with the key as detail. The detail "" stands for all keys.
class Store extends EventTarget {
  constructor(name) {
    super();
    this.name = name;
    this.refused = new Map(); // what the browser refuses to keep, until the page closes
    window.addEventListener("storage", ({ key, storageArea }) => {
      if (storageArea === this.storage) this.announce(key?.replace(PREFIX, "") ?? "");
    });
  }

  get storage() {
    try {
      return window[this.name];
    } catch {
      return null;
    }
  }

  announce(key) {
    this.dispatchEvent(new CustomEvent("change", { detail: key }));
  }

  // Returns what is kept under a key, or null.
  read(key) {
    const text = this.refused.get(key) ?? this.storage?.getItem(PREFIX + key);
    return text ? JSON.parse(text) : null;
  }

  keep(key, value) {
    const text = JSON.stringify(value);
    try {
      this.storage.setItem(PREFIX + key, text);
      this.refused.delete(key);
    } catch {
      this.refused.set(key, text);
    }
    this.announce(key);
  }

  forget(key) {
    this.refused.delete(key);
    this.storage?.removeItem(PREFIX + key);
    this.announce(key);
  }

  // Returns the keys that begin with these words.
  list(words) {
    const keys = Object.keys(this.storage ?? {}).filter((key) => key.startsWith(PREFIX));
    const all = [...this.refused.keys(), ...keys.map((key) => key.slice(PREFIX.length))];
    return all.filter((key) => key.startsWith(words));
  }
}

// Keeps under a key what the reader writes into a field.
export function keepText(field, key) {
  const show = () => {
    field.value = store.read(key) ?? "";
  };
  show();
  store.addEventListener("change", show);
  field.addEventListener("input", () => store.keep(key, field.value));
}

export const store = new Store("localStorage");
export const storeOfTab = new Store("sessionStorage"); // for what each tab has of its own
