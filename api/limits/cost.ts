/**
 * How many objects an answer to a query may hold: one for each selected object, times the page size where it is in a
 * list. Pages whose size stands in a variable count as the largest, since a query is judged before its variables.
 * Written here because graphql-armor's rule takes such a page for one object.
 */
import {
  GraphQLError,
  Kind,
  getNamedType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  type ASTVisitor,
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLOutputType,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';

export interface CostOptions {
  readonly costMax: number;
  readonly pageSizeMax: number;
  /** Members that are counted for a list that has no page size. */
  readonly listLength: number;
}

const pageArguments: ReadonlySet<string> = new Set(['first', 'last']);

export const costRule =
  ({ costMax, pageSizeMax, listLength }: CostOptions): ValidationRule =>
  (context: ValidationContext): ASTVisitor => {
    const fragments = new Map<string, number>();

    const ofSelections = (selections: SelectionSetNode, parent: GraphQLCompositeType, page: number): number => {
      let cost = 0;
      for (const selection of selections.selections) {
        if (selection.kind === Kind.FIELD) cost += ofField(selection, parent, page);
        else if (selection.kind === Kind.INLINE_FRAGMENT)
          cost += ofSelections(selection.selectionSet, typeOf(selection.typeCondition?.name.value) ?? parent, page);
        else cost += ofFragment(selection.name.value, page);
        if (cost > costMax) break;
      }
      return cost;
    };

    const ofFragment = (name: string, page: number): number => {
      const known = fragments.get(`${name} ${page}`);
      if (known !== undefined) return known;
      // A fragment that contains itself is refused by another rule; here it only must not go on for ever.
      fragments.set(`${name} ${page}`, 0);
      const fragment = context.getFragment(name);
      const type = typeOf(fragment?.typeCondition.name.value);
      const cost = fragment && type ? ofSelections(fragment.selectionSet, type, page) : 0;
      fragments.set(`${name} ${page}`, cost);
      return cost;
    };

    const ofField = (field: FieldNode, parent: GraphQLCompositeType, page: number): number => {
      const definition = isObjectType(parent) ? parent.getFields()[field.name.value] : undefined;
      if (!definition || !field.selectionSet) return 0;
      const type = getNamedType(definition.type);
      if (!isCompositeType(type)) return 0;
      const paged = definition.args.some(({ name }) => pageArguments.has(name));
      const own = paged ? pageSize(field) : page;
      if (isList(definition.type)) {
        const members = own > 0 ? own : listLength;
        return members * (1 + ofSelections(field.selectionSet, type, 0));
      }
      return 1 + ofSelections(field.selectionSet, type, paged ? own : 0);
    };

    const pageSize = (field: FieldNode): number => {
      const given = field.arguments?.filter(({ name }) => pageArguments.has(name.value)) ?? [];
      const sizes = given.map(({ value }) => (value.kind === Kind.INT ? Number(value.value) : pageSizeMax));
      return sizes.length === 0 ? Math.min(pageSizeMax, defaultPage) : Math.max(...sizes);
    };

    const typeOf = (name: string | undefined): GraphQLCompositeType | undefined => {
      const type = name === undefined ? undefined : context.getSchema().getType(name);
      return isCompositeType(type) ? type : undefined;
    };

    return {
      OperationDefinition(operation) {
        const root = context.getSchema().getRootType(operation.operation);
        const cost = root ? ofSelections(operation.selectionSet, root, 0) : 0;
        if (cost > costMax)
          throw new GraphQLError(
            `the query may answer with more than ${costMax} objects; ask for smaller pages or fewer fields`,
            { nodes: operation, extensions: { code: 'QUERY_TOO_COSTLY' } },
          );
      },
    };
  };

const defaultPage = 50;

const isList = (type: GraphQLOutputType): boolean => isListType(isNonNullType(type) ? type.ofType : type);
