import { describe, expect, it } from 'vitest'
import { brokerKeys, topicLevelKeys } from '../../src/broker/config/config-keys.ts'
import { ConfigError, formatValue, parseValue } from '../../src/broker/config/config-types.ts'
import type { AnyConfigKey, ConfigValue } from '../../src/broker/config/config-types.ts'

const key = (name: keyof typeof brokerKeys): AnyConfigKey => brokerKeys[name]

describe('A configuration value', () => {
  it.each([
    ['num.partitions', ' 12 ', 12],
    ['num.partitions', '+3', 3],
    ['log.retention.bytes', '-1', -1],
    ['log.flush.interval.messages', '9223372036854775807', Infinity],
    ['offsets.topic.replication.factor', '3', 3],
    ['log.cleaner.min.cleanable.ratio', '0.25', 0.25],
    ['log.cleaner.io.max.bytes.per.second', '1.7976931348623157E308', Number.MAX_VALUE],
    ['auto.create.topics.enable', 'TRUE', true],
    ['log.cleanup.policy', 'compact, delete', ['compact', 'delete']],
    ['log.cleanup.policy', '', []],
    ['log.message.timestamp.type', 'LogAppendTime', 'LogAppendTime'],
    ['broker.rack', ' r1 ', 'r1'],
  ] as const)('%s=%s is read', (name, text, value) => {
    expect(parseValue(name, key(name), text)).toEqual(value)
  })

  it.each([
    ['num.partitions', 'many', 'num.partitions=many: expected an integer from 1 to 2147483647'],
    ['num.partitions', '', 'num.partitions=: expected an integer from 1 to 2147483647'],
    ['num.partitions', '0', 'num.partitions=0: expected an integer from 1 to 2147483647'],
    ['num.partitions', '1.5', 'num.partitions=1.5: expected an integer from 1 to 2147483647'],
    ['num.partitions', '2147483648', 'expected an integer from 1 to 2147483647'],
    ['log.retention.bytes', '9223372036854775808', 'to 9223372036854775807'],
    ['offsets.topic.replication.factor', '40000', 'expected an integer from 1 to 32767'],
    ['log.cleaner.min.cleanable.ratio', '1.5', 'expected a number from 0 to 1'],
    ['log.cleaner.min.cleanable.ratio', 'half', 'expected a number from 0 to 1'],
    ['auto.create.topics.enable', 'yes', 'auto.create.topics.enable=yes: expected true or false'],
    [
      'log.cleanup.policy',
      'compact,drop',
      'log.cleanup.policy=compact,drop: expected a list of compact, delete',
    ],
    ['compression.type', 'brotli', 'compression.type=brotli: expected one of uncompressed, zstd'],
  ] as const)('%s=%s is refused in one line that says what is allowed', (name, text, line) => {
    let message = ''
    try {
      parseValue(name, key(name), text)
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError)
      message = (error as Error).message
    }
    expect(message).toContain(line)
    expect(message).not.toContain('\n')
  })

  it('that is the default of its key can be printed and read again', () => {
    for (const [name, row] of Object.entries<AnyConfigKey>({ ...brokerKeys, ...topicLevelKeys })) {
      const text = formatValue(row.type, row.default as ConfigValue)
      if (text !== null) expect(parseValue(name, row, text), name).toEqual(row.default)
    }
  })

  it('is printed as Kafka prints it', () => {
    expect(formatValue('long', Infinity)).toBe('9223372036854775807')
    expect(formatValue('double', 0.5)).toBe('0.5')
    expect(formatValue('double', 1)).toBe('1.0')
    expect(formatValue('double', Number.MAX_VALUE)).toBe('1.7976931348623157E308')
    expect(formatValue('list', ['compact', 'delete'])).toBe('compact,delete')
    expect(formatValue('boolean', false)).toBe('false')
    expect(formatValue('string', null)).toBeNull()
  })
})
