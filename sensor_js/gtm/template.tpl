___INFO___

{
  "type": "TAG",
  "id": "onefold_sensor",
  "version": 1,
  "securityGroups": [],
  "displayName": "Onefold sensor",
  "description": "First-party identity resolution: loads the sensor from your own endpoint. It reads Consent Mode and never sets it.",
  "containerContexts": ["WEB"]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "endpoint",
    "displayName": "Origin of the endpoint, such as https://id.example.com",
    "simpleValueType": true,
    "valueValidators": [{ "type": "REGEX", "args": ["^https://[^/]+$"] }]
  },
  {
    "type": "SELECT",
    "name": "consent",
    "displayName": "Consent comes from",
    "simpleValueType": true,
    "defaultValue": "consent-mode",
    "selectItems": [
      { "value": "consent-mode", "displayValue": "Google Consent Mode" },
      { "value": "tcf", "displayValue": "IAB TCF 2.2" },
      { "value": "manual", "displayValue": "The page's own calls" },
      { "value": "none", "displayValue": "Nowhere: no consent is asked" }
    ]
  },
  {
    "type": "TEXT",
    "name": "region",
    "displayName": "Country of phone numbers without country code (two letters)",
    "simpleValueType": true
  },
  {
    "type": "CHECKBOX",
    "name": "pageViews",
    "checkboxText": "Send page views",
    "simpleValueType": true,
    "defaultValue": true
  },
  {
    "type": "CHECKBOX",
    "name": "matchKeys",
    "checkboxText": "Add match keys of ad platforms",
    "simpleValueType": true
  },
  {
    "type": "CHECKBOX",
    "name": "debug",
    "checkboxText": "Trace every decision in the console",
    "simpleValueType": true
  }
]


___SANDBOXED_JS_FOR_WEB_TEMPLATE___

const createArgumentsQueue = require('createArgumentsQueue');
const encodeUriComponent = require('encodeUriComponent');
const injectScript = require('injectScript');

// The stub: calls that come before the script wait in onefold.q.
createArgumentsQueue('onefold', 'onefold.q');
let url = data.endpoint + '/onefold.js?consent=' + data.consent;
if (data.region) url += '&region=' + encodeUriComponent(data.region);
if (data.pageViews) url += '&pageViews';
if (data.matchKeys) url += '&matchKeys';
if (data.debug) url += '&debug';
injectScript(url, data.gtmOnSuccess, data.gtmOnFailure, 'onefold');


___WEB_PERMISSIONS___

[
  {
    "instance": {
      "key": { "publicId": "access_globals", "versionId": "1" },
      "param": [
        {
          "key": "keys",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  { "type": 1, "string": "key" },
                  { "type": 1, "string": "read" },
                  { "type": 1, "string": "write" },
                  { "type": 1, "string": "execute" }
                ],
                "mapValue": [
                  { "type": 1, "string": "onefold" },
                  { "type": 8, "boolean": true },
                  { "type": 8, "boolean": true },
                  { "type": 8, "boolean": false }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  { "type": 1, "string": "key" },
                  { "type": 1, "string": "read" },
                  { "type": 1, "string": "write" },
                  { "type": 1, "string": "execute" }
                ],
                "mapValue": [
                  { "type": 1, "string": "onefold.q" },
                  { "type": 8, "boolean": true },
                  { "type": 8, "boolean": true },
                  { "type": 8, "boolean": false }
                ]
              }
            ]
          }
        }
      ]
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": { "publicId": "inject_script", "versionId": "1" },
      "param": [
        {
          "key": "urls",
          "value": { "type": 2, "listItem": [{ "type": 1, "string": "https://*/onefold.js*" }] }
        }
      ]
    },
    "isRequired": true
  }
]


___NOTES___

The parameters of the script's address stand for its attributes; see docs/how-to/google-tag-manager.md.
