// Makes the diagrams of a page interactive: each is drawn in place of its static picture.
import { draw } from "../parts/small.js";

for (const place of document.querySelectorAll('.live[data-name="diagram"]')) {
  draw(place, JSON.parse(place.dataset.state));
}
