// Makes the diagrams of a page live: each is drawn in the place of its still.
import { draw } from "../parts/small.js";

for (const place of document.querySelectorAll('.live[data-name="diagram"]')) {
  draw(place, JSON.parse(place.dataset.state));
}
