/** How tests, demo and benchmarks start Chromium: WebGPU on a software adapter, and no traffic of its own. */

/** @param webgpu `software` runs everywhere and is slow; `hardware` takes what the machine has */
export function chromiumFlags(webgpu: 'software' | 'hardware' = 'software'): string[] {
  return [
    '--enable-unsafe-webgpu',
    ...(webgpu === 'software' ? ['--use-webgpu-adapter=swiftshader'] : ['--enable-features=Vulkan']),
    // Chromium's sandbox refuses to start as root, as in most containers.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-domain-reliability',
    '--disable-sync',
    '--no-default-browser-check',
    '--no-first-run',
    '--no-pings',
    // Several tabs work at once, and none of them is the one in front.
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding',
    '--disable-dev-shm-usage',
  ];
}
