/** Reads golden vectors: values that an independent program worked out, kept under test/golden/vectors/. */
import { readFileSync } from 'node:fs'

/** `Vectors` is what the generating program promises; the test that reads them checks the values. */
export const golden = <Vectors>(name: string): Vectors =>
  JSON.parse(readFileSync(new URL(`../golden/vectors/${name}.json`, import.meta.url), 'utf8')) as Vectors
