/**
 * `listeners`, `advertised.listeners` and the protocol map: NAME://host:port, separated by commas; IPv6 hosts in brackets;
 * an empty host means all interfaces. Rules as in Kafka's SocketServerConfigs and KafkaConfig.validateValues.
 */
import { ConfigError } from './config-types.ts'

export interface Listener {
  readonly name: string
  /** Where to bind; '' means all interfaces. IPv6 without brackets. */
  readonly host: string
  /** 0: the system chooses. */
  readonly port: number
}

export interface AdvertisedListener {
  readonly name: string
  readonly host: string
  /** 0 until the port that was bound is known. */
  readonly port: number
}

const ENTRY = /^(?<name>[^:/\s]+):\/\/(?<host>\[[0-9a-zA-Z:.%]*\]|[^:/\s[\]]*):(?<port>-?\d+)$/

/** Throws `ConfigError` naming `key`. */
export function parseListeners(key: string, text: string): Listener[] {
  const allowed = 'expected NAME://host:port, separated by commas'
  const listeners = splitList(text).map((entry) => {
    const match = ENTRY.exec(entry)
    if (!match?.groups) throw new ConfigError(key, text, `${allowed}; "${entry}" is not of that form`)
    const { name, host, port } = match.groups
    if (Number(port) < 0 || Number(port) > 65535) {
      throw new ConfigError(key, text, `port ${port} is not from 0 to 65535`)
    }
    return { name: name.toUpperCase(), host: unbracket(host), port: Number(port) }
  })
  if (listeners.length === 0) throw new ConfigError(key, text, allowed)
  requireDistinct(key, text, listeners)
  return listeners
}

function requireDistinct(key: string, text: string, listeners: readonly Listener[]): void {
  const names = new Set<string>()
  for (const { name } of listeners) {
    if (names.has(name))
      throw new ConfigError(key, text, `each listener needs a name of its own; ${name} is there twice`)
    names.add(name)
  }
  if (key !== 'listeners') return
  for (const [index, one] of listeners.entries()) {
    const other = listeners.slice(0, index).find((earlier) => sameAddress(earlier, one))
    if (other) {
      throw new ConfigError(
        key,
        text,
        `each listener needs a port of its own (or one IPv4 and one IPv6 address); ${other.name} and ${one.name} share ${one.port}`,
      )
    }
  }
}

function sameAddress(one: Listener, other: Listener): boolean {
  if (one.port === 0 || one.port !== other.port) return false
  const versions = [ipVersion(one.host), ipVersion(other.host)]
  return !(versions.includes(4) && versions.includes(6))
}

/** 4, 6, or 0 for a name. */
function ipVersion(host: string): 0 | 4 | 6 {
  if (host.includes(':')) return 6
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) ? 4 : 0
}

function unbracket(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host
}

const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']

/** `NAME:PROTOCOL`, separated by commas. */
export function parseProtocolMap(key: string, text: string): Map<string, string> {
  const map = new Map<string, string>()
  for (const entry of splitList(text)) {
    const colon = entry.lastIndexOf(':')
    const name = entry.slice(0, colon).trim().toUpperCase()
    const protocol = entry
      .slice(colon + 1)
      .trim()
      .toUpperCase()
    if (colon <= 0 || !PROTOCOLS.includes(protocol)) {
      throw new ConfigError(
        key,
        text,
        `expected NAME:PROTOCOL with a protocol of ${PROTOCOLS.join(', ')}; got "${entry}"`,
      )
    }
    if (map.has(name)) throw new ConfigError(key, text, `${name} is mapped twice`)
    map.set(name, protocol)
  }
  return map
}

/** `host:port`, with brackets around IPv6. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export function isWildcardHost(host: string): boolean {
  return host === '' || host === '0.0.0.0' || /^[0:]+$/.test(host)
}

export interface ListenerSettings {
  readonly listeners: string
  readonly advertised: string | null
  readonly protocolMap: string
  /** As written in the configuration; null: by `securityInterBrokerProtocol`. */
  readonly interBrokerListenerName: string | null
  readonly securityInterBrokerProtocol: string
  /** Whether `security.inter.broker.protocol` was written, too. */
  readonly protocolGiven: boolean
  readonly controllerListenerNames: readonly string[]
  /** Advertised where a listener is bound to all interfaces and nothing is said. */
  readonly defaultAdvertisedHost: string
}

export interface ResolvedListeners {
  /** Those to open: without KRaft's controller listeners. */
  readonly listeners: readonly Listener[]
  readonly advertised: readonly AdvertisedListener[]
  readonly interBrokerListenerName: string
}

/** All checks on listeners together. Throws `ConfigError`. */
export function resolveListeners(settings: ListenerSettings): ResolvedListeners {
  const controllers = settings.controllerListenerNames.map((name) => name.toUpperCase())
  const notController = ({ name }: { name: string }) => !controllers.includes(name)
  const listeners = parseListeners('listeners', settings.listeners).filter(notController)
  if (listeners.length === 0) {
    throw new ConfigError(
      'listeners',
      settings.listeners,
      'all of them are in controller.listener.names; one for clients is needed',
    )
  }
  requirePlaintext(settings, listeners)
  const advertised = advertisedOf(settings, listeners).filter(notController)
  const names = advertised.map(({ name }) => name)
  const stranger = names.find((name) => !listeners.some((listener) => listener.name === name))
  if (stranger) {
    const known = listeners.map(({ name }) => name).join(', ')
    throw new ConfigError(
      'advertised.listeners',
      settings.advertised,
      `${stranger} is not in listeners (${known})`,
    )
  }
  if (names.length === 0) {
    throw new ConfigError(
      'advertised.listeners',
      settings.advertised,
      'a listener for clients must be advertised',
    )
  }
  const unroutable = advertised.find(({ host }) => host === '0.0.0.0' || host === '::')
  if (unroutable) {
    throw new ConfigError(
      'advertised.listeners',
      settings.advertised,
      `${unroutable.host} cannot be reached; name an address that clients can use`,
    )
  }
  return { listeners, advertised, interBrokerListenerName: interBrokerName(settings, advertised) }
}

function requirePlaintext(settings: ListenerSettings, listeners: readonly Listener[]): void {
  const map = parseProtocolMap('listener.security.protocol.map', settings.protocolMap)
  for (const { name } of listeners) {
    const protocol = map.get(name)
    if (protocol === undefined) {
      throw new ConfigError(
        'listener.security.protocol.map',
        settings.protocolMap,
        `listener ${name} is not in it; add ${name}:PLAINTEXT`,
      )
    }
    if (protocol !== 'PLAINTEXT') {
      throw new ConfigError(
        'listeners',
        settings.listeners,
        `listener ${name} uses ${protocol}; this release serves PLAINTEXT only`,
      )
    }
  }
}

function advertisedOf(settings: ListenerSettings, listeners: readonly Listener[]): AdvertisedListener[] {
  if (settings.advertised === null || settings.advertised.trim() === '') {
    return listeners.map(({ name, host, port }) => ({
      name,
      host: isWildcardHost(host) ? settings.defaultAdvertisedHost : host,
      port,
    }))
  }
  return parseListeners('advertised.listeners', settings.advertised).map(({ name, host, port }) => ({
    name,
    host: host === '' ? settings.defaultAdvertisedHost : host,
    port,
  }))
}

function interBrokerName(settings: ListenerSettings, advertised: readonly AdvertisedListener[]): string {
  const names = advertised.map(({ name }) => name)
  const given = settings.interBrokerListenerName
  if (given !== null && given !== '') {
    if (settings.protocolGiven) {
      throw new ConfigError(
        'inter.broker.listener.name',
        given,
        'security.inter.broker.protocol is set too; only one of them may be',
      )
    }
    if (!names.includes(given.toUpperCase())) {
      throw new ConfigError(
        'inter.broker.listener.name',
        given,
        `expected one of the advertised listeners (${names.join(', ')})`,
      )
    }
    return given.toUpperCase()
  }
  if (!names.includes(settings.securityInterBrokerProtocol)) {
    throw new ConfigError(
      'inter.broker.listener.name',
      null,
      `no listener is named ${settings.securityInterBrokerProtocol}; name the one that brokers use among themselves (${names.join(', ')})`,
    )
  }
  return settings.securityInterBrokerProtocol
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}
