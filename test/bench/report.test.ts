import { describe, expect, test } from 'vitest'
import { judge, readable, toMarkdown } from '../../bench/lab/report.ts'
import type { Report } from '../../bench/lab/report.ts'

const report: Report = {
  question: 'example',
  ours: 'odradek',
  machine: {
    cpu: 'a processor',
    cores: 2,
    memoryGb: 8,
    os: 'an operating system',
    node: 'v20',
    java: '17',
    librdkafka: '2',
    kafka: '3.9.1',
    commit: 'abc',
    loadBefore: 0,
  },
  startedAt: '2026-01-01T00:00Z',
  tookSeconds: 1,
  rounds: 3,
  notes: ['A note.'],
  sections: [
    {
      title: 'a setting',
      setting: { acks: 1 },
      metrics: [
        { name: 'rate', label: 'produce', unit: 'records/s' },
        { name: 'ready', label: 'ready', unit: 'ms' },
      ],
      expectations: [
        { metric: 'rate', against: 'kafka', direction: 'at least', value: 2 },
        { metric: 'ready', direction: 'at most', value: 120 },
        { metric: 'rate', against: 'absent', direction: 'at least', value: 1 },
      ],
      series: {
        odradek: { rate: [200, 330, 100], ready: [100, 130, 140] },
        kafka: { rate: [100, 110, 100] },
      },
    },
  ],
}

describe('report', () => {
  test('a bar on a ratio is judged by the median of the rounds’ ratios', () => {
    const [ratio] = judge(report)
    expect(ratio).toMatchObject({ label: "produce / kafka's", value: 2, met: true })
  })

  test('a bar on a value is judged by the median value', () => {
    expect(judge(report)[1]).toMatchObject({ label: 'ready', value: 130, unit: 'ms', met: false })
  })

  test('a bar against a subject that was not measured is not judged', () => {
    expect(judge(report)).toHaveLength(2)
  })

  test('the table names the machine, medians with their spread, and the ratio to each other subject', () => {
    const text = toMarkdown(report)
    expect(text).toContain('a processor, 2 cores, 8 GB')
    expect(text).toContain('| produce, records/s | 200 (100–330) | 100 (100–110) | 2 (1–3) |')
    expect(text).toContain('| ready, ms | 130 (100–140) |  |  |')
    expect(text).toContain('| a setting | ready | 130 ms | at most 120 | **no** |')
  })

  test('figures have three significant digits, and thousands are kept whole', () => {
    expect([0.12345, 12.345, 999.4, 1234.5, 1_234_567].map(readable)).toEqual([
      '0.123',
      '12.3',
      '999',
      '1,235',
      '1,234,567',
    ])
  })
})
