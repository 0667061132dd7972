import { describe, expect, it } from 'vitest'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import { parseListeners } from '../../src/broker/config/listeners.ts'

const MAP = 'listener.security.protocol.map'

function config(properties: Record<string, string>): BrokerConfig {
  return new BrokerConfig(properties)
}

function advertised(properties: Record<string, string>, ports: Record<string, number> = {}): string[] {
  return config(properties)
    .resolveAdvertised(new Map(Object.entries(ports)))
    .map(({ name, host, port }) => `${name} ${host} ${port}`)
}

describe('Listeners', () => {
  it.each([
    ['PLAINTEXT://:9092', [{ name: 'PLAINTEXT', host: '', port: 9092 }]],
    ['plaintext://Localhost:0', [{ name: 'PLAINTEXT', host: 'Localhost', port: 0 }]],
    ['PLAINTEXT://[::1]:9092', [{ name: 'PLAINTEXT', host: '::1', port: 9092 }]],
    [
      ' IN_SIDE://0.0.0.0:1 , OUT-SIDE://broker.example:2 ',
      [
        { name: 'IN_SIDE', host: '0.0.0.0', port: 1 },
        { name: 'OUT-SIDE', host: 'broker.example', port: 2 },
      ],
    ],
  ])('%s is read', (text, listeners) => {
    expect(parseListeners('listeners', text)).toEqual(listeners)
  })

  it.each([
    ['', 'expected NAME://host:port'],
    ['localhost:9092', '"localhost:9092" is not of that form'],
    ['PLAINTEXT://localhost', 'is not of that form'],
    ['PLAINTEXT://::1:9092', 'is not of that form'],
    ['PLAINTEXT://:70000', 'port 70000 is not from 0 to 65535'],
    ['PLAINTEXT://:-1', 'port -1 is not from 0 to 65535'],
    ['A://:1,A://:2', 'A is there twice'],
    ['A://:1,B://:1', 'A and B share 1'],
    ['A://127.0.0.1:1,B://10.0.0.1:1', 'A and B share 1'],
  ])('%s is refused', (text, reason) => {
    expect(() => parseListeners('listeners', text)).toThrow(reason)
  })

  it('may share a port where one is IPv4 and the other IPv6', () => {
    expect(parseListeners('listeners', 'A://127.0.0.1:1,B://[::1]:1')).toHaveLength(2)
  })

  it('are advertised as they are bound, and as localhost where they are bound to all interfaces', () => {
    expect(advertised({})).toEqual(['PLAINTEXT localhost 9092'])
    expect(advertised({ listeners: 'PLAINTEXT://0.0.0.0:9092' })).toEqual(['PLAINTEXT localhost 9092'])
    expect(advertised({ listeners: 'PLAINTEXT://[::]:9092' })).toEqual(['PLAINTEXT localhost 9092'])
    expect(advertised({ listeners: 'PLAINTEXT://10.1.2.3:9092' })).toEqual(['PLAINTEXT 10.1.2.3 9092'])
  })

  it('on port 0 are advertised with the port they got', () => {
    expect(advertised({ listeners: 'PLAINTEXT://:0' }, { PLAINTEXT: 40001 })).toEqual([
      'PLAINTEXT localhost 40001',
    ])
    expect(
      advertised(
        { listeners: 'PLAINTEXT://:0', 'advertised.listeners': 'PLAINTEXT://me:0' },
        { PLAINTEXT: 5 },
      ),
    ).toEqual(['PLAINTEXT me 5'])
  })

  it('of several names are each advertised on their own', () => {
    const properties = {
      listeners: 'INSIDE://:19092,OUTSIDE://:9092',
      'advertised.listeners': 'OUTSIDE://localhost:9092,INSIDE://broker:19092',
      [MAP]: 'INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT',
      'inter.broker.listener.name': 'INSIDE',
    }
    expect(advertised(properties)).toEqual(['OUTSIDE localhost 9092', 'INSIDE broker 19092'])
    expect(config(properties).interBrokerListenerName()).toBe('INSIDE')
    expect(
      config(properties)
        .listeners()
        .map(({ name }) => name),
    ).toEqual(['INSIDE', 'OUTSIDE'])
  })

  it.each<[Record<string, string>, string]>([
    [{ listeners: 'SSL://:9093' }, 'listener SSL uses SSL; this release serves PLAINTEXT only'],
    [
      { listeners: 'X://:1', [MAP]: 'X:SASL_PLAINTEXT' },
      'listeners=X://:1: listener X uses SASL_PLAINTEXT; this release serves PLAINTEXT only',
    ],
    [{ listeners: 'X://:1' }, 'listener X is not in it; add X:PLAINTEXT'],
    [{ [MAP]: 'PLAINTEXT:TCP' }, 'expected NAME:PROTOCOL'],
    [{ [MAP]: 'A:SSL,A:PLAINTEXT' }, 'A is mapped twice'],
    [
      { 'advertised.listeners': 'PLAINTEXT://0.0.0.0:9092' },
      'advertised.listeners=PLAINTEXT://0.0.0.0:9092: 0.0.0.0 cannot be reached',
    ],
    [{ 'advertised.listeners': 'OTHER://a:1' }, 'OTHER is not in listeners (PLAINTEXT)'],
    [
      { 'inter.broker.listener.name': 'NONE' },
      'inter.broker.listener.name=NONE: expected one of the advertised listeners (PLAINTEXT)',
    ],
    [
      { 'inter.broker.listener.name': 'PLAINTEXT', 'security.inter.broker.protocol': 'PLAINTEXT' },
      'security.inter.broker.protocol is set too',
    ],
    [
      { listeners: 'X://:1', [MAP]: 'X:PLAINTEXT' },
      'inter.broker.listener.name: no listener is named PLAINTEXT',
    ],
    [
      { listeners: 'CONTROLLER://:1', 'controller.listener.names': 'CONTROLLER' },
      'all of them are in controller.listener.names',
    ],
  ])('%j is refused in one line', (properties, reason) => {
    let message = ''
    try {
      config(properties)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toContain(reason)
    expect(message).not.toContain('\n')
  })
})
