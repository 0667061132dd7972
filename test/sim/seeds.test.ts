import { expect, test } from 'vitest'
import { simulate } from './simulate.ts'

// A thousand runs of a cluster of three, each with a bad day of its own. ODRADEK_SIM_FROM and ODRADEK_SIM_SEEDS choose others.
const FROM = Number(process.env.ODRADEK_SIM_FROM ?? 1)
const SEEDS = Number(process.env.ODRADEK_SIM_SEEDS ?? 1000)

test(`no record is lost, and peace returns: ${SEEDS} seeds from ${FROM}`, async () => {
  const { code, output } = await simulate(String(FROM), String(SEEDS))
  expect(code, output).toBe(0)
  expect(output).toContain(`${SEEDS} seeds, 0 failed,`)
  // Hardly any may be ended early.
  const voids = Number(/failed, (\d+) void/.exec(output)?.[1])
  expect(voids).toBeLessThanOrEqual(SEEDS / 20)
})

const FEWER_SEEDS = Math.ceil(SEEDS / 10)

test(`transactions are seen whole or not at all: ${FEWER_SEEDS} seeds from ${FROM}`, async () => {
  const { code, output } = await simulate(String(FROM), String(FEWER_SEEDS), '--load', 'transactions')
  expect(code, output).toBe(0)
  expect(output).toContain(`${FEWER_SEEDS} seeds, 0 failed`)
})

const GROUP_SEEDS = Math.ceil(SEEDS / 20)

test(`a partition has one owner, and what is committed stays: ${GROUP_SEEDS} seeds from ${FROM}`, async () => {
  const { code, output } = await simulate(String(FROM), String(GROUP_SEEDS), '--load', 'groups')
  expect(code, output).toBe(0)
  expect(output).toContain(`${GROUP_SEEDS} seeds, 0 failed`)
})

test('a seed gives the same run each time, event by event', async () => {
  for (const more of [[], ['--load', 'transactions'], ['--load', 'groups']]) {
    const { code, output } = await simulate('1', '6', '--replay', ...more)
    expect(code, output).toBe(0)
  }
})
