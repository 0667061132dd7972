/** One subject's measurements in one round, by metric name. */
export type Sample = Record<string, number>

/** subject -> metric -> one value per round, in round order. */
export type Series = Record<string, Record<string, number[]>>

export interface Interleaving {
  readonly subjects: readonly string[]
  readonly rounds: number
  /** Measures one subject once. Every round of a subject must report the same metrics. */
  readonly measure: (subject: string, round: number) => Promise<Sample>
  readonly onSample?: (subject: string, round: number, sample: Sample) => void
}

/** A B A B ...: every subject once a round, so that what the machine does meanwhile meets all of them alike. */
export async function interleave({ subjects, rounds, measure, onSample }: Interleaving): Promise<Series> {
  const series: Series = Object.fromEntries(subjects.map((subject) => [subject, {}]))
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      const sample = await measure(subject, round)
      onSample?.(subject, round, sample)
      for (const [metric, value] of Object.entries(sample)) {
        const values = (series[subject][metric] ??= [])
        if (values.length !== round) throw new Error(`${subject} did not measure ${metric} in every round`)
        values.push(value)
      }
      for (const [metric, values] of Object.entries(series[subject]))
        if (values.length !== round + 1)
          throw new Error(`${subject} did not measure ${metric} in round ${round}`)
    }
  }
  return series
}
