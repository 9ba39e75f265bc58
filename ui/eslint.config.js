import hooks from 'eslint-plugin-react-hooks'
import ts from 'typescript-eslint'

export default ts.config(
  { ignores: ['dist', 'src/schema.d.ts', 'test-results'] },
  ...ts.configs.strict,
  hooks.configs.flat['recommended-latest'],
  {
    rules: {
      // Texts from images and advisories are hostile: they are only ever text.
      'no-restricted-syntax': ['error', { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: 'Texts are text.' }],
    },
  },
)
