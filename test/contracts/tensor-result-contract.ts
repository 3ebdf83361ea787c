/** What every TensorResultRepository promises. */
import { describe, expect, test } from 'vitest'
import type { ContentRoot, MergeId, TensorRoot } from '../../src/core/ids.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { idOf } from '../support/stored-facts.ts'

const result = (word: string, root = `${word} root`) => ({
  key: idOf(`${word} key`) as string,
  root: idOf<TensorRoot>(root),
  scalars: [0.1, -3],
})
const maker = (merge: string, ...contents: readonly string[]) => ({
  merge: idOf<MergeId>(merge),
  contents: contents.map((content) => idOf<ContentRoot>(content)),
})

export function describeTensorResults(name: string, open: () => Promise<Storage>): void {
  describe(name, () => {
    test('[STO-27] a result is found by its key, and the first one put stands', async () => {
      const { results } = await open()
      const first = result('a')
      results.put(maker('m', 'x'), [first, result('b')])
      results.put(maker('n', 'y'), [{ ...first, root: idOf('other') }])
      expect(results.find(first.key)).toEqual(first)
      expect(results.find(idOf('nobody'))).toBeUndefined()
      expect(results.count()).toBe(2)
      results.forgetContent(idOf('y')) // that merge left nothing
      expect(results.count()).toBe(2)
    })

    test('[STO-28] what names a blob is forgotten by its root, under every key', async () => {
      const { results } = await open()
      results.put(maker('m', 'x'), [result('a', 'shared'), result('b')])
      results.put(maker('n', 'x'), [result('c', 'shared')])
      results.forgetRoot(idOf('shared'))
      expect(['a', 'b', 'c'].map((word) => results.find(result(word).key) !== undefined)).toEqual([false, true, false])
      results.forgetRoot(idOf('never seen'))
      expect(results.count()).toBe(1)
      results.put(maker('n', 'z'), [result('c')])
      results.forgetContent(idOf('x')) // n left nothing that x went into
      expect(results.find(result('c').key)).toBeDefined()
    })

    test('[STO-28] what a content went into is forgotten with it', async () => {
      const { results } = await open()
      results.put(maker('m', 'x', 'y'), [result('a'), result('b')])
      results.put(maker('n', 'y', 'z'), [result('c')])
      results.forgetContent(idOf('x'))
      expect(['a', 'b', 'c'].map((word) => results.find(result(word).key) !== undefined)).toEqual([false, false, true])
      results.forgetContent(idOf('z'))
      expect(results.count()).toBe(0)
    })

    test('[DUR-1] a transaction that throws leaves no result', async () => {
      const { results, transact } = await open()
      results.put(maker('m', 'x'), [result('a')])
      const work = () =>
        transact(() => {
          results.forgetRoot(result('a').root)
          results.put(maker('n', 'y'), [result('b')])
          throw new Error('no')
        })
      expect(work).toThrow('no')
      expect([results.find(result('a').key), results.find(result('b').key)]).toEqual([result('a'), undefined])
    })
  })
}
