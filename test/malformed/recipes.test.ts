/** One fixture each; its first line says the code, the place in the file and the pointer that the refusal must name. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { loadRecipe } from '../../src/recipes/load.ts'
import { refusalOf } from '../support/refusal.ts'

const folder = new URL('./recipes/', import.meta.url)
const files = readdirSync(folder).filter((name) => name.endsWith('.recipe'))

describe('malformed recipes', () => {
  test('[REC-2] the fixtures are there', () => expect(files.length).toBeGreaterThan(60))

  test.each(files)('[REC-2] [REC-3] [MKY-2] %s is refused by name, with its place', (name) => {
    const text = readFileSync(new URL(name, folder), 'utf8')
    const [, code, place, pointer] = /^# (\S+) (\S+) (\S+)/.exec(text) ?? []
    const refusal = refusalOf(() => loadRecipe(text, { allowPaths: false, name }))
    expect({ code: refusal.code, pointer: refusal.pointer ?? '-' }).toEqual({
      code,
      pointer: pointer === '(top)' ? '' : pointer,
    })
    if (place !== '-') expect(refusal.message.slice(0, name.length + 8)).toContain(`${name}:${place}:`)
    expect(refusal.message).toContain(name)
    expect(refusal.message).not.toMatch(/undefined|\[object|Error:/)
  })
})
