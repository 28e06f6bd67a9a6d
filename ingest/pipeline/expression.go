package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/vm"
)

// memoryBudget bounds what one evaluation may make, in the units of package vm: about the
// elements of the arrays, maps and strings.
const memoryBudget = 100_000

// Names that expressions have beside the fields of an event.
const (
	recordName = "_record" // key, stream, shard, sequence, arrived
	valueName  = "_value"  // the whole event
	indexName  = "index"   // of an element of each
	envName    = "$env"    // every name there is
)

// An expression is a compiled one. Most are a field, or a field of a field, which needs
// no program.
type expression struct {
	text    string
	program *vm.Program
	path    []string // when it is no more than that
	fixed   bool     // it is a constant
	value   any
}

// A scope is the names that expressions use. One that is false is declared by an expression
// itself.
type scope map[string]bool

// compile makes an expression of a text.
func (s scope) compile(field, text string) (*expression, error) {
	fail := func(reason string) (*expression, error) {
		return nil, &DefinitionError{Field: field, Reason: fmt.Sprintf("the expression %.80q: %s", text, reason)}
	}
	if len(text) > MaxExpression {
		return fail(fmt.Sprintf("has %d bytes, at most %d are allowed", len(text), MaxExpression))
	}
	unknown := ""
	program, err := expr.Compile(text, expr.Env(map[string]any{}), expr.AllowUndefinedVariables(),
		expr.MaxNodes(MaxNodes), expr.Patch(s), expr.Patch(lenient{s, &unknown}))
	if err != nil {
		return fail(firstLine(err))
	}
	if unknown != "" {
		return fail("there is no function " + unknown)
	}
	e := &expression{text: text, program: program}
	node := program.Node()
	e.path = pathOf(node)
	switch n := node.(type) {
	case *ast.StringNode:
		e.fixed, e.value = true, n.Value
	case *ast.IntegerNode:
		e.fixed, e.value = true, n.Value
	case *ast.FloatNode:
		e.fixed, e.value = true, n.Value
	case *ast.BoolNode:
		e.fixed, e.value = true, n.Value
	}
	return e, nil
}

// Visit implements ast.Visitor: it notes the names in an expression.
func (s scope) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		s[n.Value] = true
	case *ast.VariableDeclaratorNode: // comes after what it declares the name for
		s[n.Name] = false
	}
}

// lenient makes a field of nothing nothing, rather than an error: geo.country is null when
// there is no geo. And it makes a name that is also that of a function the field, where it
// is not called: type == "view", count, date.
type lenient struct {
	names   scope
	unknown *string // a function that is called and not there
}

// Visit implements ast.Visitor. A node comes after those below it.
func (l lenient) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if _, function := builtin.Index[n.Value]; function && l.names[n.Value] {
			ast.Patch(node, &ast.MemberNode{Node: &ast.IdentifierNode{Value: envName}, Property: &ast.StringNode{Value: n.Value}})
		}
	case *ast.MemberNode:
		if !n.Method && !n.Optional {
			n.Optional = true
			ast.Patch(node, &ast.ChainNode{Node: n})
		}
	case *ast.CallNode: // of a method, such as that of a date
		if chain, ok := n.Callee.(*ast.ChainNode); ok {
			if member, ok := chain.Node.(*ast.MemberNode); ok {
				member.Optional = false
				n.Callee = member
			}
		}
		if name, ok := n.Callee.(*ast.IdentifierNode); ok {
			*l.unknown = name.Value
		}
	}
}

// pathOf returns the names of an expression such as geo.country, nil for others.
func pathOf(node ast.Node) []string {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		if n.Value != envName {
			return []string{n.Value}
		}
	case *ast.ChainNode:
		return pathOf(n.Node)
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		if env, is := n.Node.(*ast.IdentifierNode); ok && is && env.Value == envName {
			return []string{property.Value}
		}
		if of := pathOf(n.Node); ok && of != nil {
			return append(of, property.Value)
		}
	}
	return nil
}

// run evaluates the expression.
func (e *expression) run(v *vm.VM, env map[string]any) (any, error) {
	if e.fixed {
		return e.value, nil
	}
	if e.path != nil {
		at := env[e.path[0]]
		for i, name := range e.path[1:] {
			if at == nil {
				return nil, nil
			}
			inner, ok := at.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%s is %s, it has no field %s", strings.Join(e.path[:i+1], "."), describe(at), name)
			}
			at = inner[name]
		}
		return at, nil
	}
	v.MemoryBudget = memoryBudget
	out, err := v.Run(e.program, env)
	if err != nil {
		return nil, errors.New(firstLine(err))
	}
	return out, nil
}

// firstLine leaves out the picture of the expression that package expr draws.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
