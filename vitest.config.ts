import { defineConfig } from 'vitest/config'

/** One project for each kind of test, so that `npm test` can say what each kind costs. */
const project = (name: string, include: string[], more: object = {}) => ({
  test: { name, include, exclude: ['node_modules', 'dist'], ...more },
})

const kinds = ['faults', 'simulation', 'e2e'] as const

export default defineConfig({
  test: {
    projects: [
      project('unit', ['test/**/*.test.ts'], {
        exclude: ['node_modules', 'dist', ...kinds.map((kind) => `test/${kind}/**`)],
        testTimeout: 30_000,
      }),
      project('faults', ['test/faults/**/*.test.ts'], { testTimeout: 120_000 }),
      project('simulation', ['test/simulation/**/*.test.ts'], { testTimeout: 60_000 }),
      project('e2e', ['test/e2e/**/*.test.ts'], { testTimeout: 180_000, hookTimeout: 60_000 }),
    ],
  },
})
