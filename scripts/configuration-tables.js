// The tables of docs/configuration.md, from the table of keys. Pure: the script beside it and a test call it.

/**
 * @param {{ brokerKeyAreas: object, topicLevelKeys: object, topicSynonyms: object, groupLevelKeys: object }} keys src/broker/config/config-keys.ts
 * @param {{ formatValue: Function }} types src/broker/config/config-types.ts
 */
export function configurationTables(keys, types) {
  const parts = []
  for (const [area, table] of Object.entries(keys.brokerKeyAreas)) {
    parts.push(`### ${area}\n\n${brokerTable(table, types)}`)
  }
  parts.push(`### Topic settings\n\n${topicTable(keys, types)}`)
  parts.push(`### Group settings\n\n${groupTable(keys)}`)
  return parts.join('\n\n')
}

const DYNAMIC = { restart: '', cluster: 'yes', broker: 'per broker' }

function brokerTable(table, types) {
  const rows = Object.entries(table)
    .filter(([, key]) => !key.internal)
    .map(([name, key]) => [
      `\`${name}\``,
      defaultText(key, types),
      allowed(key),
      DYNAMIC[key.dynamic],
      key.honoured ? key.doc : `_${withoutStop(key.doc)}: no effect._`,
    ])
  return markdown(['Key', 'Default', 'Allowed', 'Dynamic', 'Meaning'], rows)
}

function topicTable({ topicLevelKeys, topicSynonyms }, types) {
  const rows = Object.entries(topicLevelKeys).map(([name, key]) => [
    `\`${name}\``,
    (topicSynonyms[name] ?? []).map((synonym) => `\`${synonym.key}\``).join(', ') || defaultText(key, types),
    allowed(key),
    key.honoured ? key.doc : `_${withoutStop(key.doc)}: no effect._`,
  ])
  return markdown(['Key', 'Default from', 'Allowed', 'Meaning'], rows)
}

/** A group's default is the broker's setting of the same name behind `group.`. */
function groupTable({ groupLevelKeys }) {
  const rows = Object.entries(groupLevelKeys).map(([name, key]) => [
    `\`${name}\``,
    `\`group.${name}\``,
    allowed(key),
    key.doc,
  ])
  return markdown(['Key', 'Default from', 'Allowed', 'Meaning'], rows)
}

function defaultText(key, types) {
  const text = types.formatValue(key.type, key.default)
  if (text === null) return '-'
  return text === '' ? 'empty' : `\`${text}\``
}

/** Shorter than in error messages: the ends of a 64-bit range tell nobody anything. */
function allowed(key) {
  if (key.type === 'boolean') return 'true, false'
  if (key.allowed) return key.allowed.join(', ')
  const { min, max, type, alsoAllowed } = key
  if (min === undefined && max === undefined) return type
  if (max === undefined) return `${type} from ${min}`
  return `${type} from ${min} to ${max}${alsoAllowed === undefined ? '' : `, ${alsoAllowed}`}`
}

function withoutStop(text) {
  return text.replace(/\.$/, '')
}

function markdown(head, rows) {
  const cells = (row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [cells(head), `|${'---|'.repeat(head.length)}`, ...rows.map(cells)].join('\n')
}

const BEGIN = '<!-- tables: written by scripts/write-configuration-doc.js -->'
const END = '<!-- end of tables -->'

/** The page with its tables replaced. */
export function withTables(page, tables) {
  const from = page.indexOf(BEGIN)
  const to = page.indexOf(END)
  if (from === -1 || to === -1)
    throw new Error(`docs/configuration.md has lost its marks ${BEGIN} and ${END}`)
  return `${page.slice(0, from + BEGIN.length)}\n\n${tables}\n\n${page.slice(to)}`
}
