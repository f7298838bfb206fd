import type { Looked } from './contract.ts';

export const lookedAtNothing: Looked = {
  entries: 0,
  segments: 0,
  boxes: 0,
  opened: 0,
  rows: 0,
  checkpoints: 0,
  tiles: 0,
  emitters: 0,
  objects: 0,
};

export const added = (a: Looked, b: Looked): Looked => ({
  entries: a.entries + b.entries,
  segments: a.segments + b.segments,
  boxes: a.boxes + b.boxes,
  opened: a.opened + b.opened,
  rows: a.rows + b.rows,
  checkpoints: a.checkpoints + b.checkpoints,
  tiles: a.tiles + b.tiles,
  emitters: a.emitters + b.emitters,
  objects: a.objects + b.objects,
});
