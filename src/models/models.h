// From a model file to a graph: one file an architecture family.
#pragma once

#include "graph/graph.h"
#include "import/checkpoint.h"

namespace lockstep::models {

// Builds and verifies the graph of a checkpoint by its general.architecture. The graph's weights view the
// checkpoint, which must outlive it. Throws a user's error that names what is missing, of another shape or
// not supported.
graph::Graph build_graph(const importer::Checkpoint& checkpoint, const graph::NumericOptions& options);

// The family of general.architecture "llama" (Llama, Mistral, SmolLM, ...).
graph::Graph build_llama(const importer::Checkpoint& checkpoint, const graph::NumericOptions& options);

}  // namespace lockstep::models
