"""What the local engine's CloudFormation leaves out of the real template, done through its APIs after each deploy.

Every step looks first and may be run again at any time. Each says what it stands in for; on AWS none is needed.
"""

import json

import template as templates


def after(stack) -> None:
    template = templates.read(stack.template)
    import_routes(stack, template)
    set_time_to_live(stack, template)
    point_edge_secret_here(stack)


def import_routes(stack, template: dict) -> None:
    """Stands in for the OpenAPI body that SAM makes of the functions' HttpApi events: the engine makes the API, and
    ignores the body. Routes that are not in the template any more are taken out."""
    gateway = stack.client("apigatewayv2")
    api = stack.output("ApiId")
    wanted = {}
    for logical_id, resource in template["Resources"].items():
        for event in resource.get("Properties", {}).get("Events", {}).values() if _is_function(resource) else ():
            if event["Type"] == "HttpApi":
                wanted[f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}"] = logical_id
    routes = {route["RouteKey"]: route for route in gateway.get_routes(ApiId=api, MaxResults="500")["Items"]}
    integrations = {
        integration["IntegrationUri"]: integration["IntegrationId"]
        for integration in gateway.get_integrations(ApiId=api, MaxResults="500")["Items"]
    }
    for key in routes.keys() - wanted.keys():
        gateway.delete_route(ApiId=api, RouteId=routes[key]["RouteId"])
    for key, logical_id in wanted.items():
        function = stack.client("lambda").get_function(FunctionName=stack.resource(logical_id))
        arn = function["Configuration"]["FunctionArn"]
        if arn not in integrations:
            made = gateway.create_integration(
                ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
            )
            integrations[arn] = made["IntegrationId"]
        target = f"integrations/{integrations[arn]}"
        if key not in routes:
            gateway.create_route(ApiId=api, RouteKey=key, Target=target)
        elif routes[key].get("Target") != target:
            gateway.update_route(ApiId=api, RouteId=routes[key]["RouteId"], Target=target)


def _is_function(resource: dict) -> bool:
    return resource["Type"] == "AWS::Serverless::Function"


def set_time_to_live(stack, template: dict) -> None:
    """Stands in for the tables' TimeToLiveSpecification, which the engine ignores."""
    tables = stack.client("dynamodb")
    for logical_id, resource in template["Resources"].items():
        wanted = resource.get("Properties", {}).get("TimeToLiveSpecification")
        if resource["Type"] != "AWS::DynamoDB::Table" or not wanted:
            continue
        name = stack.resource(logical_id)
        found = tables.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if found.get("TimeToLiveStatus") != "ENABLED":
            tables.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def point_edge_secret_here(stack) -> None:
    """Stands in for DNS: the distribution's domain does not lead to this machine. So that sign-in and signatures name
    the address that a browser here really opens, the secret that holds both is rewritten."""
    secrets = stack.client("secretsmanager")
    secret = stack.output("EdgeSecretArn")
    host = stack.edge_origin.removeprefix("http://")
    wanted = {"origin": stack.edge_origin, "signing_domain": host}
    if json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"]) != wanted:
        secrets.put_secret_value(SecretId=secret, SecretString=json.dumps(wanted))
