"""The Jenkins jobs of a configuration, as code: Job DSL, Jenkins Job Builder YAML, a Jenkinsfile."""
