import { defineConfig } from 'vitest/config'

/** vitest leaves one core to itself, which is half of two. What starts whole replicas has the cores for them, and goes alone. */
const EVERY_CORE = { maxWorkers: '100%' }

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
        ...EVERY_CORE,
      }),
      project('faults', ['test/faults/**/*.test.ts'], { testTimeout: 120_000, ...EVERY_CORE }),
      project('simulation', ['test/simulation/**/*.test.ts'], { testTimeout: 60_000, ...EVERY_CORE }),
      project('e2e', ['test/e2e/**/*.test.ts'], { testTimeout: 180_000, hookTimeout: 60_000, maxWorkers: 1 }),
    ],
  },
})
