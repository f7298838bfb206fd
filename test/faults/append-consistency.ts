import { consistencyProof, verifyConsistency, type SubtreeReader } from '../../domain/tree/proof.ts';

interface TreeHead {
  readonly size: number;
  readonly root: Buffer;
}

/** Whether the log that ends with `end` continues the one that `given` was signed for. */
export const isConsistent = async (given: TreeHead, end: TreeHead, subtrees: SubtreeReader): Promise<boolean> => {
  if (given.size === end.size) return given.root.equals(end.root);
  const proof = await consistencyProof(given.size, end.size, subtrees);
  return verifyConsistency({ oldSize: given.size, oldRoot: given.root, newSize: end.size, newRoot: end.root, proof });
};
