/** Kafka's own producer in one JVM that stays: which protocol of transactions it speaks is a matter of its version. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Sample } from '../lab/interleave.ts'
import { cleanEnv, endWithUs } from '../lab/process.ts'
import { root } from '../lab/tools.ts'

const JVM = ['-Xmx256m', '-XX:+UseSerialGC', '-Dlog4j.rootLogger=OFF']

export interface TransactionLoad {
  readonly bootstrap: string
  readonly topic: string
  readonly partitions: number
  /** In each transaction. */
  readonly records: number
  readonly producers: number
  readonly warmUpMs: number
  readonly measureMs: number
}

export interface TransactionClient {
  readonly run: (load: TransactionLoad) => Promise<Sample>
  readonly stop: () => Promise<void>
}

let ids = 0

export function startTransactionClient(classPath: string): TransactionClient {
  const program = join(root, 'bench', 'clients', 'TransactionLoad.java')
  const child = spawn('java', [...JVM, '-cp', classPath, program], {
    env: cleanEnv(),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  endWithUs(child)
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const run = async (load: TransactionLoad): Promise<Sample> => {
    const { bootstrap, topic, partitions, records, producers, warmUpMs, measureMs } = load
    const words = [bootstrap, topic, partitions, records, producers, warmUpMs, measureMs, `id-${++ids}`]
    child.stdin.write(`${words.join(' ')}\n`)
    const { value, done } = await answers.next()
    if (done) throw new Error('the transactional client has ended')
    return JSON.parse(value) as Sample
  }
  const stop = async (): Promise<void> => {
    const closed = once(child, 'close')
    child.stdin.end()
    await closed
  }
  return { run, stop }
}
