/** A vector of our own making, so that a clone alone notices a change; made when the published one passed. */

/** All hex but the name. */
export type NtorVector = Readonly<
  Record<
    | 'name'
    | 'b_sk'
    | 'b_pk'
    | 'id'
    | 'x_sk'
    | 'y_sk'
    | 'client_message'
    | 'verification'
    | 'server_message'
    | 'client_handshake'
    | 'server_handshake'
    | 'keys_256',
    string
  >
>;

export const ownVector: NtorVector = {
  name: 'of our own making',
  b_sk: '0306090c0f1215181b1e2124272a2d303336393c3f4245484b4e5154575a5d60',
  b_pk: 'e96fd9a312938a8a22154349fe3df0afb99ca4228c5ffbaa908c9cc4057e463a',
  id: '0b16212c37424d58636e79848f9aa5b0bbc6d1dce7f2fd08131e29343f4a5560',
  x_sk: '050a0f14191e23282d32373c41464b50555a5f64696e73787d82878c91969ba0',
  y_sk: '070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0',
  client_message: '612070617274206f6620612063697263756974',
  verification: '756e666564',
  server_message: '74616b656e',
  client_handshake:
    '0b16212c37424d58636e79848f9aa5b0bbc6d1dce7f2fd08131e29343f4a5560e96fd9a312938a8a22154349fe3df0afb99ca4228c5ffbaa908c9cc4057e463a6b75e1a2690207d9410cbe40166336432c2255b4b17f4da7255874b6d84db05d087e3c76ad741bd2f7f4778c170bc9c9d0182756db465d725524020fe933f9f66c9d3d75657cff43a678a6938393b93f41a1cb',
  server_handshake:
    'ae9d5a093df22f27409be49f96cc0d3598dc677d6a0f51ad1d2b124e7c13597e623e72ee875709b7dc87bf398115bbaf86bb025f7d71a2c5d3fbc80c8018a3de4af710f2ce',
  keys_256:
    'c2e236dc4debfae85f9e0e405062f0ec23f501b80afdc9f446d4ea6f8efb57b423f09df7f8b3ddaccb676c63b2aa22e4eb71503aab281e853c95fce5aa08e69227ef472aa80d9255c830399660b5bda67c71df2eaa52132b0e63280d743243bbb48bd2e6293483b20eaed04d25cde93571c234593c99fb39214f39faec299e37c5820dbf430d0d55ddd57418eb6410a7f863a762ef4e65a2ca705d084c91af3b6c9a40e724ea5bf852b1036c19b35b205f0fc242c02b5efb62003ccd2b64bea4fc9c04e17a5ea687d1682f39739af6cb1458f300fdf2a42c236fda0770a24b9d26570c1f065e22381b475ad6dd8bfca24e5120be5d14ac10a91bb908a3fd0135',
};
