/** Checkpoints, as the addresses that the build gives them: vite.config.ts. */

declare module "weights-model?url" {
  const url: string;
  export default url;
}

declare module "weights-detector?url" {
  const url: string;
  export default url;
}
