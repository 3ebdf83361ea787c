import { describe } from 'vitest'
import { seedsBetween } from './seeds.ts'

describe('[SIM-1] whatever happens between them, honest replicas end with the same ops, shown the same', () => {
  seedsBetween('[SIM-1]', 1, 100)
})
