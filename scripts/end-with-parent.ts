/**
 * Loaded into every child that the tools start (`--import`): when the parent dies, however it dies, the IPC channel
 * closes, and the child ends with everything in its process group.
 */
import { stopTimeoutMs } from './limits.ts';

process.once('disconnect', () => {
  setTimeout(() => process.exit(1), stopTimeoutMs).unref();
  try {
    process.kill(-process.pid, 'SIGTERM');
  } catch {
    // Not the leader of a group: there is only this process to end.
    process.kill(process.pid, 'SIGTERM');
  }
});
// Listening for `disconnect` must not by itself keep a child alive that has finished.
process.channel?.unref();
