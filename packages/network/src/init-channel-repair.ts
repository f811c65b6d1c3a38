/**
 * Repairs a race of @libp2p/webrtc 6.0.33: the dialler opens a channel labelled `init`, the other end closes it as soon
 * as it sees it, and the dialler only then starts to listen for its `open` and `close`. Events that are over never
 * come, and every sixth to twelfth dial hangs until its timeout. Here such a listener hears of what has happened; and
 * where the connection has failed meanwhile, it hears an error, so that the dial fails at once and is tried again.
 *
 * The transport makes its own peer connections and takes none from outside, so the one place to reach the channel is
 * the class: `createDataChannel` is wrapped, for channels of that label alone, once.
 */
interface PeerConnectionClass {
  readonly prototype: Pick<RTCPeerConnection, 'createDataChannel'>;
}

const repaired = new WeakSet<object>();

/** Idempotent. @param peerConnection the class that the transport uses: the browser's, or node-datachannel's */
export function repairInitChannels(peerConnection: PeerConnectionClass): void {
  const { prototype } = peerConnection;
  if (repaired.has(prototype)) return;
  repaired.add(prototype);
  const create = prototype.createDataChannel;
  prototype.createDataChannel = function (this: RTCPeerConnection, label: string, init?: RTCDataChannelInit) {
    const channel = create.call(this, label, init);
    if (label === 'init') repeatPastEvents(channel, this);
    return channel;
  };
}

function repeatPastEvents(channel: RTCDataChannel, connection: RTCPeerConnection): void {
  const isLost = (): boolean => connection.connectionState === 'closed' || connection.connectionState === 'failed';
  const tell = (type: string): boolean => channel.dispatchEvent(new Event(type));
  let wasOpen = false;
  const add = channel.addEventListener.bind(channel) as EventTarget['addEventListener'];
  add('open', () => {
    wasOpen = true;
  });
  // Closed before it opened, from where we stand: whoever waits for `open` may go on to wait for `close`.
  add('close', () => {
    if (!wasOpen) tell('open');
  });
  connection.addEventListener('connectionstatechange', () => {
    if (isLost()) tell('error');
  });
  const addAndRepeat: EventTarget['addEventListener'] = (type, listener, options) => {
    add(type, listener, options);
    if (type !== 'open' && type !== 'close') return;
    const isOver = type === 'open' ? channel.readyState !== 'connecting' : channel.readyState === 'closed';
    if (isLost()) queueMicrotask(() => tell('error'));
    else if (isOver) queueMicrotask(() => tell(type));
  };
  channel.addEventListener = addAndRepeat as RTCDataChannel['addEventListener'];
}
