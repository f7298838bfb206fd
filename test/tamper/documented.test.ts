/** docs/threat-model.md and docs/self-verification.md: every claim names a test that there is, and every kind is there. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { differenceKinds } from '../../domain/verification/difference.ts';

const root = resolve(import.meta.dirname, '../..');
const threats = readFileSync(resolve(root, 'docs/threat-model.md'), 'utf8');
const checks = readFileSync(resolve(root, 'docs/self-verification.md'), 'utf8');

describe('the threat model', () => {
  const cited = [...new Set([...threats.matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path!))];

  it.each(cited)('names %s, which there is', (path) => {
    expect(existsSync(resolve(root, path))).toBe(true);
  });

  it('names kinds that there are', () => {
    const words = [...threats.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, word]) => word!);
    expect(words.length).toBeGreaterThan(10);
    expect(words.filter((word) => !(differenceKinds as readonly string[]).includes(word))).toEqual([]);
  });
});

describe('the vocabulary of differences', () => {
  it('is documented, each kind once, and nothing else is', () => {
    const listed = [...checks.matchAll(/^\| `([a-z-]+)`/gm)].map(([, kind]) => kind!);
    expect(listed.toSorted()).toEqual(differenceKinds.toSorted());
  });
});
