/** The part of wink-naive-bayes-text-classifier that the example uses; the package has no types. */
declare module 'wink-naive-bayes-text-classifier' {
  interface NaiveBayes {
    definePrepTasks(tasks: ((input: readonly string[]) => readonly string[])[]): number;
    defineConfig(config: { considerOnlyPresence?: boolean; smoothingFactor?: number }): true;
    learn(tokens: readonly string[], label: string): true;
    consolidate(): true;
    /** Labels with the base-2 logarithm of their odds, the best first; [['unknown', 0]] if no token is known. */
    computeOdds(tokens: readonly string[]): [label: string, odds: number][];
  }
  export default function naiveBayes(): NaiveBayes;
}
