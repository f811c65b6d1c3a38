/** Every word that the page shows, in one place, ready for another language. Numbers are formatted by format.ts. */
import { durationText } from '@unfed/swarm/progress-text';
import { bytesText, countText, memoryText, storedText, rangeText, rateText } from './format.ts';
import { leakFigures } from './privacy/leak-figures.ts';

const { layers: leakLayers, search, probe } = leakFigures;

const layersText = (layers: string) => (/\D/.test(layers) ? `layers ${layers}` : `layer ${layers}`);

export const strings = {
  name: 'Unfed',
  tabs: { chat: 'Chat', donate: 'Donate', network: 'Network', privacy: 'Privacy' },
  tabsLabel: 'Parts of the page',
  skip: 'Skip to the content',
  settingsOpen: 'Settings',

  relay: {
    connecting: 'Connecting',
    connected: 'Connected',
    retrying: 'Relay unreachable',
    failed: 'Not started',
    connectingLong: 'Looking for the relay that introduces this page to the volunteers.',
    connectedLong: 'The relay introduces this page to other peers. Answers travel between peers, not through it.',
    retryingLong: (time: string) =>
      `The relay does not answer. This page keeps trying, next at ${time}. Links to other peers stay as they are.`,
    failedLong: (reason: string) => `This page could not join the network: ${reason}`,
    reload: 'Reload',
  },

  chat: {
    title: 'Ask the pool',
    intro: 'Your question is answered by volunteers’ machines, each holding a few layers of one model. No account.',
    examples: ['What is the capital of France?', 'How does a mouse sound?', 'What is 19 plus 2?'],
    examplesLabel: 'Questions to begin with',
    promptLabel: 'Your question',
    placeholder: 'Ask anything',
    send: 'Send',
    stop: 'Stop',
    startNew: 'New conversation',
    conversation: 'Conversation',
    you: 'You',
    copy: 'Copy',
    copied: 'Copied',
    copyRefused: 'The browser refused',
    again: 'Try again',
    answering: 'Answering',
    waiting: {
      relay: 'Connecting. Your question is sent as soon as the network is there.',
      relayAgain: 'The relay does not answer yet. Your question is kept, and sent as soon as it does.',
      pool: 'Looking for volunteers. Your question is sent as soon as there is a pool.',
      size: 'Asking how much there is to fetch …',
    },
    progress: {
      model: 'Fetching the model’s ends …',
      planning: 'Choosing a route through the layers …',
      connecting: 'Connecting to the stages …',
      prefill: 'The stages read your question …',
    },
    consent: (model: string, bytes: string) =>
      `To ask ${model}, this page first fetches at most ${bytes}: the part of the model that runs here, and the software that runs it. You are asked only once.`,
    consentUnknown: 'several megabytes',
    consentAgree: 'Fetch and ask',
    consentRefuse: 'Not now',
    tooLong: (tokens: number, tokensMax: number) =>
      `Too long for this model: ${countText(tokens)} tokens, and it reads at most ${countText(tokensMax)}. Shorten it to send it.`,
    failed: (message: string) => `No answer: ${message}.`,
    brokenOff: (message: string) => `The answer broke off: ${message}. What was written is kept.`,
    stopped: 'Stopped',
    forgotten: (turns: number) =>
      turns === 1
        ? 'The oldest turn no longer fits the model’s context and was left out.'
        : `The ${countText(turns)} oldest turns no longer fit the model’s context and were left out.`,
    endLength: 'cut at the answer length',
    endContext: 'the model’s context is full',
    tokens: (count: number) => (count === 1 ? '1 token' : `${countText(count)} tokens`),
    rate: (perSecond: number) => `${rateText(perSecond)} tokens/s`,
    firstToken: (ms: number) => `first after ${rateText(ms / 1000)} s`,
    route: (stages: number) => (stages === 1 ? 'by 1 stage' : `by ${countText(stages)} stages`),
    routeTitle: 'The stages that computed this answer, in order',
    hop: (layers: string) => capitalized(layersText(layers)),
    note: 'The stages that compute the answer can work out your words.',
    noteLink: 'Who sees what',
  },

  pool: {
    label: 'Model',
    none: 'No model yet',
    choose: 'Choose a model',
    unknown: 'Health not known yet',
    broken: (layers: readonly string[]) => `Nobody serves ${layersList(layers)}`,
    whole: (copies: number, layers: readonly string[], all: boolean) =>
      all
        ? copies === 1
          ? 'Every layer is served once'
          : `Every layer is served ${countText(copies)} times`
        : copies === 1
          ? `Weakest: ${layersList(layers)}, served once`
          : `Weakest: ${layersList(layers)}, served ${countText(copies)} times`,
    volunteers: (count: number) => (count === 1 ? '1 volunteer' : `${countText(count)} volunteers`),
    noVolunteers: 'No volunteers',
    coverageLabel: 'How many volunteers serve each layer',
    layerCount: (layer: number, count: number) =>
      `Layer ${countText(layer)}: ${count === 0 ? 'nobody' : count === 1 ? '1 volunteer' : `${countText(count)} volunteers`}`,
  },

  donate: {
    title: 'Lend this machine',
    intro:
      'While this tab is open, your machine computes a few layers of a model for people who chat. Stop whenever you like.',
    start: 'Start donating',
    stop: 'Stop',
    model: 'Model',
    memory: 'Memory at most',
    memoryHint: 'Weights and conversation caches together.',
    byHand: 'Choose the layers by hand',
    byHandHint: (layers: number) =>
      layers > 0
        ? `Left empty, the page serves what the pool lacks most. This model has layers 0 to ${countText(layers - 1)}.`
        : 'Left empty, the page serves what the pool lacks most.',
    first: 'First layer',
    last: 'Last layer',
    spanWrong: (layers: number) =>
      layers > 0
        ? `Give a first and a last layer, from 0 to ${countText(layers - 1)}, in that order.`
        : 'Give a first and a last layer, in that order.',
    states: {
      off: 'Off',
      preparing: 'Getting ready',
      downloading: 'Downloading',
      serving: 'Serving',
      failed: 'Could not serve',
    },
    offReady: 'Nothing is computed or fetched until you start.',
    offWaiting: 'You can start as soon as the page is connected.',
    offNoModel: 'No model is known yet; you can start as soon as a pool or a relay offers one.',
    preparing: 'The page loads the runtime, tests it against known answers and measures it.',
    downloading: (layers: string, bytes: number, bytesTotal: number) =>
      `${capitalized(layersText(layers))}: ${storedText(bytes)} of ${storedText(bytesTotal)}. Every piece is checked before it is used.`,
    failed: (message: string) => `${capitalized(message)}.`,
    again: 'Try again',
    serving: (model: string, layers: string, since: string) =>
      `${capitalized(layersText(layers))} of ${model}, since ${since}.`,
    servingBest: 'The fastest way that this machine computes right answers.',
    facts: {
      backend: 'Runs on',
      speed: 'Speed',
      sessions: 'Conversations now',
      positions: 'Tokens served',
    },
    steps: (perSecond: number) => `${rateText(perSecond)} steps/s`,
    noWebGpu:
      'This browser offers no WebGPU, so the layers run on the processor (WebAssembly). That is slower, and still helps.',
    seeTitle: 'What you can see, and what you cannot',
    see: 'You receive numbers from inside the model, not text. With effort, somebody who runs a stage can work out the words from them. You also see the address of the peer that asks. You cannot see who that person is, nor the rest of their machine.',
    costTitle: 'What it costs',
    cost: 'Power and memory while you serve, and traffic: a few kilobytes for each token, and the pieces of the model that you fetch and pass on. The computing ends when you press stop; everything ends when you close the tab.',
  },

  weights: {
    title: 'Weights on this machine',
    intro: 'Pieces of models, fetched from other volunteers and the relay, each checked before it is kept.',
    nothing: 'Nothing is kept yet. What you serve or ask with is fetched piece by piece, and kept for the next time.',
    used: (bytes: number, capMiB: number) => `${storedText(bytes)} of at most ${memoryText(capMiB)} used.`,
    kept: {
      kept: 'The browser keeps them until you delete them.',
      'best-effort': 'The browser may clear them when the disk runs low; then they are fetched again.',
      unknown: '',
    },
    uploaded: (bytes: number, perSecond: number) =>
      perSecond > 0
        ? `${bytesText(bytes)} passed on to other volunteers, ${bytesText(perSecond)}/s now.`
        : `${bytesText(bytes)} passed on to other volunteers.`,
    complete: (bytes: number) => `Complete: ${storedText(bytes)}.`,
    idle: (bytes: number) => `${storedText(bytes)} kept for the next time.`,
    part: (held: number, wanted: number) => `${storedText(held)} of ${storedText(wanted)}`,
    paused: 'paused',
    waiting: 'waiting for somebody who has the rest',
    rate: (perSecond: number, sources: string) => `${bytesText(perSecond)}/s from ${sources}`,
    left: (seconds: number) => `${durationText(seconds)} left`,
    sources: (peers: number, seed: boolean) => {
      const named = peers === 0 ? '' : peers === 1 ? '1 volunteer' : `${countText(peers)} volunteers`;
      if (named === '') return seed ? 'the relay' : 'nobody';
      return seed ? `${named} and the relay` : named;
    },
    banned: (count: number) =>
      count === 1
        ? 'One peer sent wrong bytes; they were thrown away, and it is not asked again.'
        : `${countText(count)} peers sent wrong bytes; they were thrown away, and those peers are not asked again.`,
    map: (model: string, counts: string) => `The pieces of ${model}: ${counts}.`,
    pieces: {
      held: 'here',
      coming: 'coming',
      offered: 'to be had',
      missing: 'nobody has',
      other: 'not needed here',
    },
    pause: 'Pause',
    resume: 'Resume',
    of: (action: string, model: string) => `${action}: ${model}`,
    delete: 'Delete',
    deleteTitle: (model: string) => `Delete ${model} from this machine?`,
    deleteBody: (bytes: number) =>
      `This frees ${storedText(bytes)}. Others can no longer fetch it from you, and this page fetches it again when it next serves or asks it.`,
    deleteConfirm: 'Delete it',
    deleteRefuse: 'Keep it',
    store: 'Disk at most',
    storeHint: 'Pieces of models, kept in this browser.',
    upload: 'Upload at most',
    uploadHint: 'What other volunteers fetch from you.',
    uploadRate: (kibPerSecond: number) => `${bytesText(kibPerSecond * 1024)}/s`,
    uploadUnlimited: 'No limit',
  },

  network: {
    title: 'The network',
    intro: 'What this page knows of the pools right now.',
    relayTitle: 'Relay',
    poolsTitle: 'Pools',
    noPools: 'No pool is known yet.',
    stagesTitle: 'Stages',
    noStages: 'Nobody serves this model now. You can, under Donate.',
    layers: (count: number) => `${countText(count)} layers`,
    columns: { layers: 'Layers', backend: 'Runs on', speed: 'Steps/s', queue: 'Queue', peer: 'Peer' },
    self: 'This page',
    forwardersTitle: 'Forwarders',
    forwardersHint: 'Peers that pass sealed messages on. Conversations do not use them yet.',
    noForwarders: 'None.',
    connectionsTitle: 'Connections of this page',
    noConnections: 'None yet.',
    connection: { peer: 'Peer', transport: 'By' },
    isRelay: 'relay',
    transports: {
      webrtc: 'WebRTC, direct',
      'webrtc-direct': 'WebRTC, direct to a server',
      websocket: 'WebSocket',
      relayed: 'through the relay',
    },
    legend: { none: 'nobody', one: 'one volunteer', more: 'two or more' },
  },

  backends: { webgpu: 'WebGPU', wasm: 'Processor (wasm)', 'node-cpu': 'Processor (Node)' },

  settings: {
    title: 'Settings',
    close: 'Close',
    chat: 'Chat',
    donate: 'Donate',
    look: 'Look',
    answerLength: 'Answer length at most',
    tokens: (count: number) => `${countText(count)} tokens`,
    temperature: 'Temperature',
    temperatureHint: '0 takes the likeliest word each time; more varies.',
    seed: 'Seed',
    seedHint: 'Empty: another for every answer.',
    theme: 'Theme',
    themes: { system: 'As the system', light: 'Light', dark: 'Dark' },
    stored: 'Kept in this browser only.',
  },

  privacy: {
    title: 'Who sees what',
    intro: 'In plain words, for this version. It is not anonymous yet.',
    columns: { who: 'Who', asks: 'Who asks', words: 'The words', rest: 'The rest' },
    rows: [
      {
        who: 'The relay',
        asks: 'Your address, and which peers it introduces you to, and when',
        words: 'Nothing',
        rest: 'Sizes and times of introductions',
      },
      {
        who: 'A stage',
        asks: 'Your address and this page’s peer id: your page connects to every stage of the route',
        words:
          'Hidden states at its layers, which determine the words. The first and the last stage need a look-up to read them, those between more and more computing',
        rest: 'Position, length, model, times',
      },
      {
        who: 'Other volunteers',
        asks: 'Nothing, unless your page donates: then its peer id, and your address where they exchange pieces of a model with it',
        words: 'Nothing',
        rest: 'The layers, the speed and the models that a donating page announces, and which pieces it holds',
      },
      {
        who: 'Somebody on the line',
        asks: 'Your address, and the addresses it talks to',
        words: 'Nothing: links are encrypted',
        rest: 'Sizes and times',
      },
      {
        who: 'This browser',
        asks: '–',
        words: 'The conversation, until you start a new one',
        rest: 'Settings, and the parts of models that it fetched',
      },
    ],
    leakTitle: 'What a stage can read',
    leak: [
      `Before the first layer, every word: by a look-up in a table that is public.`,
      `Behind any number of layers, ${countText(search.percent)} % of the words: by trying words in turn, which takes ${rangeText(search.msPerWord)} ms of one processor core for each.`,
      `By learning for ${countText(probe.seconds)} seconds from other text, ${rangeText(probe.behindFirst)} % of the words behind the first layer, ${rangeText(probe.inTheMiddle)} % in the middle and ${rangeText(probe.behindLast)} % behind the last.`,
      `So layers that your own machine would run, at the beginning or the end, cost a reader seconds and keep nothing secret. This page runs none.`,
      `We measured this on the demo model of ${countText(leakLayers)} layers, with simple means. Better ones read more, and faster.`,
    ],
    limitsTitle: 'The limits, honestly',
    limits: [
      'Hidden states leak words, as said above. Do not ask what no stranger may read.',
      'Stages see your address in this version. Circuits, in which each hop knows only its neighbours, are built, but this page does not ask by them yet.',
      'Somebody who watches all links can match the times of messages, whatever is encrypted.',
      'Stages could answer wrongly on purpose; nothing checks them yet.',
    ],
    doneTitle: 'What the page does',
    done: [
      'No account, no cookies, no counters. Nothing is asked of any other site.',
      'Pictures in an answer never load, and links only when you follow them: both would show your address.',
      'The relay carries introductions; answers travel directly between peers, encrypted.',
      'The page fetches the model’s parts and the runtime only after you agree, and checks every piece against its hash.',
    ],
  },
};

function capitalized(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

function layersList(layers: readonly string[]): string {
  const one = layers.length === 1 && layers.every((layer) => !/\D/.test(layer));
  return `${one ? 'layer' : 'layers'} ${layers.join(', ')}`;
}
