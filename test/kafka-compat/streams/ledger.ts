import type { KcatRecord } from '../harness/kcat.ts'
import type { Message } from './feed.ts'
import { tableOf } from './topics.ts'

const ACCOUNTS = 40
const BRANCHES = 7

/** Orders of java/Ledger.java, with a number of their own each. */
export function order(index: number): Message {
  const account = `account-${(index * 7 + (index >> 3)) % ACCOUNTS}`
  const branch = `branch-${(index * 3 + (index >> 5)) % BRANCHES}`
  return {
    key: String(index),
    value: `${account} ${branch} ${1 + (index % 97)}`,
    timestamp: String(Date.now()),
  }
}

/** What is wrong with the entries that were committed and the branches' table; nothing where each order counted once. */
export function wrongInLedger(
  orders: readonly Message[],
  entries: readonly KcatRecord[],
  branches: readonly KcatRecord[],
): string[] {
  const wrong: string[] = []
  const ordered = new Map(orders.map((message) => [message.key, message.value.split(' ')]))
  const entered = new Set<string>()
  const accounts = new Map<string, { entry: number; balance: number }>()
  for (const { key, payload, partition, offset } of entries) {
    const [number, entry, balance] = payload!.split(' ')
    const at = `${key} ${payload} (entries-${partition}@${offset})`
    const [account, , amount] = ordered.get(number) ?? []
    if (account !== key) wrong.push(`${at}: no such order`)
    if (entered.has(number)) wrong.push(`${at}: entered twice`)
    entered.add(number)
    const last = accounts.get(key!) ?? { entry: 0, balance: 0 }
    if (Number(entry) !== last.entry + 1) wrong.push(`${at}: after entry ${last.entry}`)
    if (Number(balance) !== last.balance + Number(amount)) wrong.push(`${at}: after balance ${last.balance}`)
    accounts.set(key!, { entry: Number(entry), balance: Number(balance) })
  }
  for (const number of ordered.keys()) if (!entered.has(number)) wrong.push(`order ${number}: not entered`)
  const sold = new Map<string, number>()
  for (const [, branch, amount] of ordered.values())
    sold.set(branch, (sold.get(branch) ?? 0) + Number(amount))
  const table = tableOf(branches)
  for (const [branch, amount] of sold)
    if (table.get(branch) !== String(amount))
      wrong.push(`${branch}: ${table.get(branch)} instead of ${amount}`)
  return wrong
}
