import { Kind, type FragmentDefinitionNode, type GraphQLResolveInfo, type SelectionSetNode } from 'graphql';

/** Whether a subscription asks for the content of payload parts, wherever in its selection. */
export const selectsPayload = ({ fieldNodes, fragments }: GraphQLResolveInfo): boolean =>
  fieldNodes.some(({ selectionSet }) => selectionSet && contains(selectionSet, fragments, new Set()));

const payloadFields: ReadonlySet<string> = new Set(['content', 'state']);

const contains = (
  { selections }: SelectionSetNode,
  fragments: Readonly<Record<string, FragmentDefinitionNode | undefined>>,
  seen: Set<string>,
): boolean =>
  selections.some((selection) => {
    switch (selection.kind) {
      case Kind.FIELD:
        return (
          payloadFields.has(selection.name.value) ||
          (selection.selectionSet !== undefined && contains(selection.selectionSet, fragments, seen))
        );
      case Kind.INLINE_FRAGMENT:
        return contains(selection.selectionSet, fragments, seen);
      case Kind.FRAGMENT_SPREAD: {
        const { value } = selection.name;
        if (seen.has(value)) return false;
        seen.add(value);
        const fragment = fragments[value];
        return fragment !== undefined && contains(fragment.selectionSet, fragments, seen);
      }
    }
    return selection satisfies never;
  });
