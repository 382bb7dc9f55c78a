//! The architect as a Model Context Protocol server: tools with schemas and structured results, resources, prompts.
//!
//! Everything is below one opened root: paths that lead out of it, by `..`, by a link or by being absolute, are refused.

mod judge;
mod prompts;
mod resources;
mod tools;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, GetPromptRequestParams,
    GetPromptResponse, Implementation, ListPromptsResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use stanchion_runtime::task;

use crate::root::Root;

const INSTRUCTIONS: &str = "Tools of a backend architect that works on facts in the source. Read the guides and decisions (resources) before you \
    change an architecture; `decide` recommends with reasons and books; `adr` lists and checks decisions; only `adr_new`, \
    `scaffold` and `add` write, below the opened root alone. Use dry_run first.";

/// Serves until the client closes stdin.
pub(crate) async fn serve(root: Root) -> anyhow::Result<()> {
    let running = Architect { root }.serve(rmcp::transport::stdio()).await?;
    running.waiting().await?;
    Ok(())
}

#[derive(Clone)]
struct Architect {
    root: Root,
}

impl ServerHandler for Architect {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("stanchion", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    /// A tool that fails says so in its result, so that the agent reads why; a tool that is not there is an error of the protocol.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !tools::is_one(&request.name) {
            return Err(ErrorData::invalid_params(
                format!("there is no tool `{}`", request.name),
                None,
            ));
        }
        let (root, name) = (self.root.clone(), request.name.into_owned());
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        // Files, sockets and waiting: not on the runtime's threads.
        let done = task::blocking("tool", move || tools::call(&root, &name, arguments)).await;
        let result = match done {
            Ok(Ok(value)) => CallToolResult::structured(value),
            Ok(Err(error)) => {
                CallToolResult::structured_error(json!({ "error": format!("{error:#}") }))
            }
            Err(error) => return Err(ErrorData::internal_error(error.to_string(), None)),
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::all(
            &self.root,
        )))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.root, &request.uri).map(Into::into)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::all()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&request.name, &request.arguments.unwrap_or_default()).map(Into::into)
    }
}
